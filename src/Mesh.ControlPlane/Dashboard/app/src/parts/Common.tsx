import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Baseline, Change, Fault, Gap, Golden, Missing } from '../api';
import { bytes, clock, count, duration, millis, moment, percent, rate } from '../lib/format';
import { now } from '../state/live';
import { link } from '../state/where';
import { Icon } from './Icon';

export function Panel({ title, note, actions, children, id }: { title: string; note?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; id?: string }): JSX.Element {
  return (
    <section class="panel" aria-label={title} id={id}>
      <header>
        <h2>{title}</h2>
        {note && <span class="note">{note}</span>}
        {actions && <span class="actions">{actions}</span>}
      </header>
      {children}
    </section>
  );
}

export function CopyCli({ command }: { command: string }): JSX.Element {
  const [done, setDone] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
    } catch {
      // No clipboard without TLS or permission: by way of a field that is selected.
      const field = document.createElement('textarea');
      field.value = command;
      document.body.append(field);
      field.select();
      document.execCommand('copy');
      field.remove();
    }
    setDone(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), 1600);
  };
  return (
    <button type="button" class="cli" onClick={copy} title="Copy as CLI" aria-label={`Copy as CLI: ${command}`}>
      <span class="prompt" aria-hidden="true">
        $
      </span>
      <code>{command}</code>
      <Icon name={done ? 'check' : 'copy'} size={14} />
      <span class="hidden" role="status">
        {done ? 'copied' : ''}
      </span>
    </button>
  );
}

export function Waiting({ error, what }: { error: string | null; what: string }): JSX.Element {
  return error ? (
    <div class="state error" role="alert">
      <strong>{what} can’t be shown.</strong> {error}
    </div>
  ) : (
    <div class="state" aria-busy="true">
      <span class="bar" />
      <span class="bar" />
      <span class="bar" />
      <span class="hidden">Loading {what}</span>
    </div>
  );
}

export function ServiceLink({ namespace, name }: { namespace?: string | null; name?: string | null }): JSX.Element {
  if (!name) return <span class="muted">unknown</span>;
  return (
    <a class="service" href={link('service', [namespace ?? '', name])}>
      {name}
      {namespace && <small>{namespace}</small>}
    </a>
  );
}

export function Name({ namespace, name }: { namespace?: string | null; name?: string | null }): JSX.Element {
  return (
    <span class="service">
      {name || 'unmeshed'}
      {namespace && <small>{namespace}</small>}
    </span>
  );
}

/** What callers got, and beneath it what it would have been without retries, where that differs. */
export function Success({ golden }: { golden: Golden }): JSX.Element {
  if (golden.requests === 0) return <span class="muted">–</span>;
  const tone = golden.effective_success_rate < 0.9 ? 'failing' : golden.effective_success_rate < 0.99 ? 'degraded' : '';
  return (
    <span class={`success ${tone}`} title={`Calls: ${percent(golden.effective_success_rate, 3)}. Attempts: ${percent(golden.success_rate, 3)}.`}>
      {percent(golden.effective_success_rate)}
    </span>
  );
}

export function Secured({ share, requests = 1 }: { share: number; requests?: number }): JSX.Element {
  if (requests === 0) return <span class="muted">–</span>;
  return (
    <span class={`secured ${share >= 1 ? '' : 'degraded'}`}>
      <Icon name={share >= 1 ? 'lock' : 'open'} size={13} /> {percent(share, 1)}
    </span>
  );
}

export function Changes({ changes, empty = 'Nothing changed.', limit = 12 }: { changes: Change[]; empty?: string; limit?: number }): JSX.Element {
  if (changes.length === 0) return <p class="empty">{empty}</p>;
  return (
    <ol class="changes">
      {changes.slice(0, limit).map((c) => (
        <li key={c.at + c.kind + c.what}>
          <time dateTime={c.at}>{moment(c.at, now.value)}</time>
          <span class={`kind ${c.kind}`}>{c.kind.replace('_', ' ')}</span>
          <span class="what">
            {c.what}
            {c.service && (
              <>
                {' '}
                <ServiceLink namespace={c.namespace} name={c.service} />
              </>
            )}
          </span>
        </li>
      ))}
    </ol>
  );
}

export function FaultLine({ fault, onEnd }: { fault: Fault; onEnd?: () => void }): JSX.Element {
  const left = fault.expires_at ? (Date.parse(fault.expires_at) - now.value) / 1000 : null;
  return (
    <div class="fault-line">
      <Icon name="bolt" size={14} />
      <span>
        <b>{fault.text}</b> on {fault.service ? <ServiceLink namespace={fault.namespace} name={fault.service} /> : 'a route'}
        <span class="muted">
          {' '}
          {fault.policy}
          {fault.by ? ` by ${fault.by}` : ''}
          {fault.temporary && left !== null ? ` · ends by itself in ${duration(Math.max(0, left))}` : ' · until its policy is removed'}
        </span>
      </span>
      {onEnd && (
        <button type="button" onClick={onEnd}>
          End now
        </button>
      )}
    </div>
  );
}

/** How whole the numbers are: where they are kept, how far back they reach, what is missing. */
export function Wholeness({ of }: { of: { store?: string; reaches_back_to?: string | null; partial?: Missing[]; gaps?: Gap[]; from?: string } | null | undefined }): JSX.Element | null {
  if (!of) return null;
  const short = of.from && of.reaches_back_to && Date.parse(of.reaches_back_to) > Date.parse(of.from) + 1000;
  return (
    <div class="wholeness">
      {of.store && <span>Kept {of.store === 'disk' ? 'on disk' : of.store === 'memory' ? 'in memory' : `by ${of.store}`}</span>}
      {of.reaches_back_to && <span class={short ? 'degraded' : ''}>{short ? 'Asked for more than is kept: numbers reach back to ' : 'back to '}{moment(of.reaches_back_to, now.value)}</span>}
      {(of.partial ?? []).map((p) => (
        <span key={p.replica} class="degraded">
          Without replica {p.replica}: {p.why}
        </span>
      ))}
      {(of.gaps ?? []).slice(0, 5).map((g) => (
        <span key={g.from + g.who} class="degraded">
          Missing of {g.who} {clock(g.from)}–{clock(g.to)}: {g.why}
        </span>
      ))}
    </div>
  );
}

/** Whether anything but HTTP was carried. */
export const hasConnections = (g: Golden | null | undefined) => !!g && ((g.connections ?? 0) > 0 || (g.opened_connections ?? 0) > 0 || (g.open_connections ?? 0) > 0 || (g.received_bytes ?? 0) > 0 || (g.sent_bytes ?? 0) > 0);

export function Numbers({ golden, baseline }: { golden: Golden; baseline?: Baseline | null }): JSX.Element {
  const tiles: { label: string; value: string; sub: string; tone?: string }[] = [
    {
      label: 'Success',
      value: golden.requests ? percent(golden.effective_success_rate) : '–',
      sub: golden.requests ? `${count(golden.failures)} of ${count(golden.requests)} failed` : 'no calls',
      tone: golden.requests === 0 ? '' : golden.effective_success_rate < 0.9 ? 'failing' : golden.effective_success_rate < 0.99 ? 'degraded' : '',
    },
    { label: 'Calls per second', value: rate(golden.rps), sub: baseline ? `${rate(baseline.rps)} the hour before` : `${count(golden.requests)} calls` },
    { label: 'p50', value: golden.requests ? millis(golden.p50_ms) : '–', sub: 'half are faster' },
    { label: 'p95', value: golden.requests ? millis(golden.p95_ms) : '–', sub: '19 of 20 are faster' },
    { label: 'p99', value: golden.requests ? millis(golden.p99_ms) : '–', sub: baseline && baseline.p99_ms !== null ? `${millis(baseline.p99_ms)} the hour before` : '99 of 100 are faster' },
    { label: 'Retries', value: count(golden.retries), sub: golden.requests ? `first tries ${percent(golden.success_rate)}` : 'no calls' },
    ...(hasConnections(golden)
      ? [{ label: 'Connections', value: golden.open_connections == null ? count(golden.opened_connections) : count(golden.open_connections), sub: `${golden.open_connections == null ? 'opened' : 'open now'} · ${bytes(golden.received_bytes)} in, ${bytes(golden.sent_bytes)} back` }]
      : []),
    { label: 'Mutual TLS', value: golden.requests ? percent(golden.mtls_share, 1) : '–', sub: golden.requests === 0 ? 'no calls' : golden.mtls_share >= 1 ? 'all calls' : 'some in plaintext', tone: golden.requests && golden.mtls_share < 1 ? 'degraded' : '' },
  ];
  return (
    <dl class="tiles">
      {tiles.map((t) => (
        <div key={t.label} class={t.tone}>
          <dt>{t.label}</dt>
          <dd>
            {t.value}
            <small>{t.sub}</small>
          </dd>
        </div>
      ))}
    </dl>
  );
}
