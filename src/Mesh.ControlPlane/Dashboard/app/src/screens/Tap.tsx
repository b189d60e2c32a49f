import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TapEvent, TapStats } from '../api';
import { command, tapOptions } from '../lib/cli';
import { clock, millis, percent, plural } from '../lib/format';
import { Ring } from '../lib/ring';
import { follow } from '../lib/sse';
import { CopyCli, Name, Panel } from '../parts/Common';
import { Icon, LevelShape } from '../parts/Icon';
import { OnlyNow } from '../parts/Past';
import { noteRefusal, url } from '../state/net';
import { headers, info, mayTap } from '../state/session';
import { link, setQuery, where } from '../state/where';

export const FILTERS: readonly { name: string; label: string; hint: string; number?: boolean }[] = [
  { name: 'namespace', label: 'Namespace', hint: 'any' },
  { name: 'source', label: 'Caller', hint: 'any' },
  { name: 'destination', label: 'Called', hint: 'any' },
  { name: 'method', label: 'Method', hint: 'any' },
  { name: 'path', label: 'Path', hint: '/prices/*' },
  { name: 'status', label: 'Status', hint: '503, 5xx, failed, grpc:14' },
  { name: 'min_ms', label: 'Slower than, ms', hint: '0', number: true },
  { name: 'max_rps', label: 'At most per s', hint: '100', number: true },
  { name: 'headers', label: 'Headers shown', hint: 'x-request-id, …' },
];

const MAX_ROWS = 500;

export const chosen = (names: readonly string[]): Record<string, string> => {
  const query = where.value.query;
  return Object.fromEntries(names.map((n) => [n, query[n] ?? ''] as const).filter(([, v]) => v !== ''));
};

/** A stream that runs while the screen is open and `run` is set; drawn at most four times a second. */
export function useFlow(path: string, query: Record<string, string>, running: boolean, onEvent: (event: string, data: unknown) => void): { error: string | null; turn: number } {
  const [error, setError] = useState<string | null>(null);
  const [turn, setTurn] = useState(0);
  const key = JSON.stringify([path, query, running]);
  const handler = useRef(onEvent);
  handler.current = onEvent;
  useEffect(() => {
    if (!running) return;
    const end = new AbortController();
    setError(null);
    let dirty = false;
    const draw = setInterval(() => {
      if (dirty && !document.hidden) {
        dirty = false;
        setTurn((n) => n + 1);
      }
    }, 250);
    void follow(url(path, query), end.signal, {
      headers,
      onUp: () => setError(null),
      onDown: (why, status) => {
        noteRefusal(status);
        setError(why.message);
      },
      onEvent: (e) => {
        try {
          handler.current(e.event, JSON.parse(e.data));
          dirty = true;
        } catch {
          // Not JSON: a later version's event that this page does not know.
        }
      },
      final: (status) => status >= 400 && status < 500,
    });
    return () => {
      end.abort();
      clearInterval(draw);
    };
  }, [key]);
  return { error, turn };
}

export function FilterForm({ running, onStart, onStop, names, children }: { running: boolean; onStart: (values: Record<string, string>) => void; onStop: () => void; names: readonly string[]; children?: JSX.Element }): JSX.Element {
  const query = where.value.query;
  const [draft, setDraft] = useState<Record<string, string>>(() => chosen(names));
  useEffect(() => setDraft(chosen(names)), [names.map((n) => query[n]).join('\u0000')]);
  const submit = (e: Event) => {
    e.preventDefault();
    onStart(Object.fromEntries(names.map((n) => [n, (draft[n] ?? '').trim()])));
  };
  return (
    <form class="filters" onSubmit={submit} aria-label="Which requests">
      {FILTERS.filter((f) => names.includes(f.name)).map((f) => (
        <label key={f.name}>
          {f.label}
          <input name={f.name} type={f.number ? 'number' : 'text'} min={f.number ? 0 : undefined} placeholder={f.hint} spellcheck={false} autocomplete="off" value={draft[f.name] ?? ''} onInput={(e) => setDraft({ ...draft, [f.name]: e.currentTarget.value })} />
        </label>
      ))}
      <div class="buttons">
        <button type="submit" class="primary">
          <Icon name="play" size={13} /> {running ? 'Start anew' : 'Start'}
        </button>
        <button type="button" disabled={!running} onClick={onStop}>
          Stop
        </button>
        {children}
      </div>
    </form>
  );
}

const NAMES = FILTERS.map((f) => f.name);

interface Row extends TapEvent {
  n: number;
}

export function Tap(): JSX.Element {
  const running = where.value.query.run === '1';
  const query = chosen(NAMES);
  const ring = useRef(new Ring<Row>(MAX_ROWS));
  const next = useRef(0);
  const [stats, setStats] = useState<TapStats | null>(null);
  const [notice, setNotice] = useState('');
  const [open, setOpen] = useState<Row | null>(null);
  const [held, setHeld] = useState<Row[] | null>(null);
  const flow = useFlow('tap', { max_rps: '100', ...query }, running, (event, data) => {
    if (event === 'request' || event === 'open') {
      const seen = data as TapEvent;
      // The end of what was shown while it went on takes its row.
      const ended = event === 'request' && !!seen.stream && ring.current.replace((r) => !!r.open && r.stream === seen.stream, (r) => ({ ...seen, n: r.n }));
      if (!ended) ring.current.push({ ...seen, n: next.current++ });
    }
    else if (event === 'stats') setStats(data as TapStats);
    else if (event === 'notice') setNotice(String((data as { text?: unknown }).text ?? ''));
  });
  const rows = held ?? ring.current.newest();
  void flow.turn;

  const start = (values: Record<string, string>) => {
    ring.current.clear();
    setHeld(null);
    setOpen(null);
    setNotice('');
    setQuery({ ...Object.fromEntries(NAMES.map((n) => [n, ''])), ...values, run: '1' });
  };
  return (
    <div class="screen tap">
      <OnlyNow what="What is tapped" />
      <Panel title="Which requests" actions={<CopyCli command={command('tap', [], tapOptions(query))} />}>
        <FilterForm names={NAMES} running={running} onStart={start} onStop={() => setQuery({ run: '' })}>
          <button type="button" aria-pressed={held !== null} disabled={!running && held === null} onClick={() => setHeld(held ? null : ring.current.newest())}>
            <Icon name={held ? 'play' : 'pause'} size={13} /> {held ? 'Go on' : 'Hold'}
          </button>
        </FilterForm>
      </Panel>
      {flow.error && running && (
        <div class="state error" role="alert">
          <strong>No requests are coming.</strong> {flow.error}
        </div>
      )}
      {notice && <div class="state">{notice}</div>}
      <NoRight />
      <Panel
        title="Requests"
        note={
          stats && running ? (
            <>
              {plural(stats.data_planes, 'data plane')} asked · {stats.sent} sent · {stats.dropped > 0 ? <b class="degraded">{stats.dropped} dropped</b> : 'none dropped'} · {stats.sampled >= 1 ? 'all of them' : `sampled: ${percent(stats.sampled, 0)}`}
            </>
          ) : running ? (
            rows.length > 0 ? plural(rows.length, 'request') : 'waiting for the first'
          ) : (
            'stopped'
          )
        }
      >
        <div class={`split${open ? ' open' : ''}`}>
          <div class="scroll tall" tabIndex={0} role="region" aria-label="Requests, newest first">
            <table class="dense">
              <caption class="hidden">Requests, newest first</caption>
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Caller</th>
                  <th scope="col">Called</th>
                  <th scope="col">Request</th>
                  <th scope="col">Answer</th>
                  <th scope="col" class="num">
                    Took
                  </th>
                  <th scope="col" class="num">
                    Tries
                  </th>
                  <th scope="col">TLS</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((r) => (
                  <tr key={r.n} class={`link ${bad(r) ? 'failing' : ''}${open?.n === r.n ? ' on' : ''}`} onClick={() => setOpen(r)}>
                    <td>{clock(r.at)}</td>
                    <td>
                      <Name namespace={r.source_namespace} name={r.source} />
                    </td>
                    <td>
                      <Name namespace={r.destination_namespace} name={r.destination} />
                    </td>
                    <td class="wide">
                      <button type="button" class="plain" onClick={() => setOpen(r)}>
                        <b>{r.method}</b> <code>{r.path}</code>
                      </button>
                    </td>
                    <td>
                      <Answer row={r} />
                    </td>
                    <td class="num">{r.open ? <span title="It goes on; shown once a second after it began">open, {millis(r.latency_ms)}</span> : millis(r.latency_ms)}</td>
                    <td class="num">{r.attempts ?? 1}</td>
                    <td>{r.tls === 'mesh' ? <Icon name="lock" size={13} /> : <span class="degraded">{r.tls ?? 'plain'}</span>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {rows.length === 0 && <p class="empty">{running ? 'No request that matches has come by yet.' : 'Choose which requests, or none of the filters, and start. Data planes send nothing until somebody asks.'}</p>}
          </div>
          {open && <Detail row={open} onClose={() => setOpen(null)} />}
        </div>
      </Panel>
    </div>
  );
}

/** Said before it is tried. */
export function NoRight(): JSX.Element | null {
  if (!info.value?.rights || mayTap()) return null;
  return <div class="state">Whoever asks here may view, but not watch single requests. The control plane’s token for that is in its data folder: tap-token.</div>;
}

const bad = (r: TapEvent) => !!r.error || (r.status ?? 0) >= 500 || (r.grpc_status ?? 0) > 0;

function Answer({ row }: { row: TapEvent }): JSX.Element {
  const text = row.error ? row.error : row.grpc_status !== null && row.grpc_status !== undefined ? `grpc ${row.grpc_status}` : String(row.status ?? '–');
  return (
    <span class={`answer ${bad(row) ? 'failing' : (row.status ?? 0) >= 400 ? 'degraded' : ''}`}>
      <LevelShape level={bad(row) ? 'failing' : (row.status ?? 0) >= 400 ? 'degraded' : 'ok'} size={10} /> {text}
    </span>
  );
}

function Detail({ row, onClose }: { row: TapEvent; onClose: () => void }): JSX.Element {
  const facts: [string, JSX.Element | string | null | undefined][] = [
    ['At', clock(row.at)],
    ['Seen by', `${row.side === 'server' ? 'the called side' : 'the caller'}, ${row.instance ?? ''}`],
    ['Authority', row.authority],
    ['Route', row.route],
    ['Endpoint', row.endpoint],
    ['Peer', row.peer],
    ['Status', row.status === null || row.status === undefined ? null : String(row.status)],
    ['gRPC status', row.grpc_status === null || row.grpc_status === undefined ? null : String(row.grpc_status)],
    ['Error', row.error],
    [row.open ? 'Open for' : 'Took', `${millis(row.latency_ms)} in ${plural(row.attempts ?? 1, 'try', 'tries')}`],
    ['TLS', row.tls],
    ['Stream', row.stream],
    ['Trace', row.trace_id ? <a href={link('traces', [row.trace_id])}>{row.trace_id}</a> : null],
  ];
  return (
    <aside class="detail" aria-label="The request">
      <header>
        <h3>
          {row.method} <code>{row.path}</code>
        </h3>
        <button type="button" class="ghost" aria-label="Close" onClick={onClose}>
          <Icon name="close" size={14} />
        </button>
      </header>
      <dl class="facts">
        {facts
          .filter(([, v]) => v !== null && v !== undefined && v !== '')
          .map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={k + '.'}>{v}</dd>])}
      </dl>
      <Headers title="Request headers" of={row.request_headers} />
      <Headers title="Answer’s headers" of={row.response_headers} />
    </aside>
  );
}

function Headers({ title, of }: { title: string; of: Record<string, string> | undefined }): JSX.Element | null {
  const all = Object.entries(of ?? {});
  if (all.length === 0) return null;
  return (
    <>
      <h4>{title}</h4>
      <dl class="facts headers">{all.map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={k + '.'}>{v}</dd>])}</dl>
    </>
  );
}
