import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { Envelope, Span, Trace, TraceItem } from '../api';
import { command, traceOptions } from '../lib/cli';
import { clock, millis, moment, plural } from '../lib/format';
import { timeQuery } from '../lib/route';
import { waterfall, type Bar } from '../lib/waterfall';
import { CopyCli, Name, Panel, Waiting, Wholeness } from '../parts/Common';
import { LevelShape } from '../parts/Icon';
import { Table } from '../parts/Table';
import { useAsk } from '../state/ask';
import { items, now } from '../state/live';
import { go, link, range, setQuery, where } from '../state/where';

const CHOICES = [
  { name: 'service', label: 'Through', hint: 'any', title: 'A service or workload that takes part' },
  { name: 'source', label: 'From', hint: 'any caller', title: 'A workload that makes a call in it' },
  { name: 'destination', label: 'To', hint: 'any service', title: 'What such a call is to' },
  { name: 'labels', label: 'Labels', hint: 'app=cart', title: 'Of a workload that takes part, such as app=cart,tier!=test' },
];

export function Traces(): JSX.Element {
  const query = where.value.query;
  const r = range.value;
  // Live, the newest are shown: of a fixed time those that are kept still.
  const held = r.live ? {} : timeQuery(r);
  const asked = useAsk<Envelope<TraceItem> | TraceItem[]>('traces', { service: query.service, source: query.source, destination: query.destination, labels: query.labels, min_ms: query.min_ms, failed: query.failed === '1' ? 'true' : undefined, limit: r.live ? 200 : 1000, ...held }, r.live ? 5 : 0);
  const found = items<TraceItem>(asked.data);
  const longest = Math.max(1, ...found.map((t) => t.duration_ms));
  return (
    <div class="screen traces">
      <div class="tools">
        {CHOICES.map((c) => (
          <label key={c.name} class="inline" title={c.title}>
            {c.label} <input type="search" value={query[c.name] ?? ''} placeholder={c.hint} spellcheck={false} autocomplete="off" onInput={(e) => setQuery({ [c.name]: e.currentTarget.value })} />
          </label>
        ))}
        <label class="inline">
          Slower than, ms <input type="number" min="0" value={query.min_ms ?? ''} placeholder="0" onInput={(e) => setQuery({ min_ms: e.currentTarget.value })} />
        </label>
        <label class="inline">
          <input type="checkbox" checked={query.failed === '1'} onChange={(e) => setQuery({ failed: e.currentTarget.checked ? '1' : '' })} /> Only failed
        </label>
        <span class="grow" />
        <CopyCli command={command('traces', [], traceOptions(query, r))} />
      </div>
      {/* Beside what was asked for, which may be what is wrong. */}
      {!asked.data ? (
        <Waiting error={asked.error} what="Traces" />
      ) : (
        <Panel title="Traces" note={`${plural(found.length, 'trace')}${r.live ? '' : ` of ${moment(r.from, now.value)} – ${clock(r.to)}`}, kept in memory, failed and slow ones longest`}>
          <Table
            caption="Traces"
            columns={[
              { key: 'level', head: '', cell: (t) => <LevelShape level={t.failed ? 'failing' : 'ok'} />, sort: (t) => Number(t.failed) },
              { key: 'at', head: 'At', cell: (t) => moment(t.at, now.value), sort: (t) => t.at },
              { key: 'root', head: 'Began as', wide: true, cell: (t) => <a href={link('traces', [t.trace_id])}>{t.root}</a>, sort: (t) => t.root },
              { key: 'workload', head: 'At workload', cell: (t) => <Name namespace={t.namespace} name={t.workload} />, sort: (t) => t.workload },
              { key: 'services', head: 'Through', wide: true, cell: (t) => <span class="muted">{(t.services ?? []).join(', ')}</span> },
              { key: 'spans', head: 'Spans', numeric: true, cell: (t) => t.spans, sort: (t) => t.spans },
              { key: 'took', head: 'Took', numeric: true, cell: (t) => millis(t.duration_ms), sort: (t) => t.duration_ms },
              { key: 'bar', head: '', cell: (t) => <meter min={0} max={longest} value={t.duration_ms} aria-label={`Took ${millis(t.duration_ms)}`} /> },
            ]}
            rows={found}
            rowKey={(t) => t.trace_id}
            onRow={(t) => go(link('traces', [t.trace_id]))}
            empty="No trace is kept that matches. Of calls that begin in a workload 1 % are traced, and failed ones: see docs/traces.md."
          />
        </Panel>
      )}
      {asked.data && !Array.isArray(asked.data) && <Wholeness of={asked.data} />}
    </div>
  );
}

export function TraceView({ id }: { id: string }): JSX.Element {
  const asked = useAsk<Trace>(`traces/${encodeURIComponent(id)}`, {}, 0);
  const [open, setOpen] = useState<string | null>(null);
  const bars = useMemo(() => (asked.data ? waterfall(asked.data.spans) : []), [asked.data]);
  if (!asked.data) return <Waiting error={asked.error} what={`The trace ${id}`} />;
  const total = Math.max(0.001, ...bars.map((b) => b.offset + b.span.duration_ms));
  const chosen = bars.find((b) => b.span.span_id === open)?.span;
  return (
    <div class="screen trace">
      <div class="tools">
        <a href={link('traces')}>All traces</a> <code>{id}</code>
        <span class="muted">
          {plural(bars.length, 'span')} · {millis(total)} · began {bars[0] ? clock(bars[0].span.start) : '–'}
        </span>
        <span class="grow" />
        <CopyCli command={command('traces', ['show', id])} />
      </div>
      <Panel title="What happened, in order">
        <div class={`split${chosen ? ' open' : ''}`}>
          <div class="scroll" tabIndex={0} role="region" aria-label="Waterfall">
            <table class="waterfall">
              <caption class="hidden">Spans in order, with their place in time</caption>
              <thead>
                <tr>
                  <th scope="col">Span</th>
                  <th scope="col">Where</th>
                  <th scope="col" class="num">
                    Took
                  </th>
                  <th scope="col">
                    <span class="scale">
                      <span>0</span>
                      <span>{millis(total / 2)}</span>
                      <span>{millis(total)}</span>
                    </span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {bars.map((b) => (
                  <Row key={b.span.span_id} bar={b} total={total} on={open === b.span.span_id} toggle={() => setOpen(open === b.span.span_id ? null : b.span.span_id)} />
                ))}
              </tbody>
            </table>
          </div>
          {chosen && <SpanDetail span={chosen} />}
        </div>
      </Panel>
      <Wholeness of={asked.data} />
    </div>
  );
}

function Row({ bar, total, on, toggle }: { bar: Bar; total: number; on: boolean; toggle: () => void }): JSX.Element {
  const { span, depth, offset } = bar;
  const failed = bar.failed;
  const x = (ms: number) => (ms / total) * 100;
  const begin = Date.parse(span.start);
  return (
    <tr class={`link${on ? ' on' : ''}`} onClick={(e) => !(e.target as Element).closest('button') && toggle()}>
      <td>
        <button type="button" class="plain" aria-expanded={on} style={{ paddingLeft: `${Math.min(depth, 12) * 14}px` }} onClick={toggle}>
          <LevelShape level={failed ? 'failing' : 'ok'} size={10} /> {span.name} <small class="muted">{span.kind}</small>
        </button>
      </td>
      <td>
        <Name namespace={span.namespace} name={span.workload} />
      </td>
      <td class="num">{millis(span.duration_ms)}</td>
      <td class="bars">
        <svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">
          <rect class={`bar ${failed ? 'failing' : span.kind.toLowerCase()}`} x={x(offset)} width={Math.max(0.4, x(span.duration_ms))} y="3" height="6" rx="0.400" />
          {(span.events ?? []).map((e, i) => (
            <rect key={i} class="event" x={x(offset + (Date.parse(e.at) - begin)) - 0.15} width="0.450" y="0" height="12" />
          ))}
        </svg>
      </td>
    </tr>
  );
}

function SpanDetail({ span }: { span: Span }): JSX.Element {
  const text = (v: unknown) => (typeof v === 'string' ? v : JSON.stringify(v));
  return (
    <aside class="detail" aria-label="The span">
      <h3>{span.name}</h3>
      {(span.events ?? []).length > 0 && (
        <>
          <h4>What was decided</h4>
          <ol class="changes">
            {(span.events ?? []).map((e, i) => (
              <li key={i}>
                <span class="kind">+{millis(Math.max(0, Date.parse(e.at) - Date.parse(span.start)))}</span>
                <span class="what">
                  <b>{e.name}</b>{' '}
                  {Object.entries(e.attributes ?? {})
                    .map(([k, v]) => `${k}=${text(v)}`)
                    .join(' ')}
                </span>
              </li>
            ))}
          </ol>
        </>
      )}
      <h4>Attributes</h4>
      <dl class="facts headers">
        <dt>span</dt>
        <dd>{span.span_id}</dd>
        <dt>status</dt>
        <dd>{span.status ?? '–'}</dd>
        {Object.entries(span.attributes ?? {}).map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={k + '.'}>{text(v)}</dd>])}
      </dl>
    </aside>
  );
}
