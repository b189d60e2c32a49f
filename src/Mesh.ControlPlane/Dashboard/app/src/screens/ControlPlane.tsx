import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Client } from '../api';
import { ago, bytes, count, duration, millis, moment, percent, plural } from '../lib/format';
import { CopyCli, Panel, Waiting } from '../parts/Common';
import { LevelShape } from '../parts/Icon';
import { OnlyNow } from '../parts/Past';
import { Table, type Column } from '../parts/Table';
import { useAsk, useTopic } from '../state/ask';
import { items, now } from '../state/live';
import { info } from '../state/session';
import { range } from '../state/where';
import type { Info } from '../api';

/** What is no longer on its way, but late. */
const STALE_S = 5;

const kindOf = (url: string) => url.slice(url.lastIndexOf('.') + 1);
const refused = (c: Client) => c.subscriptions.some((s) => /nack/i.test(s.status));
const stale = (c: Client) => (c.stale_s ?? 0) > STALE_S;
const levelOf = (c: Client) => (refused(c) ? 'failing' : stale(c) ? 'degraded' : 'ok') as 'failing' | 'degraded' | 'ok';
const why = (c: Client): string => (typeof c.last_nack === 'string' ? c.last_nack : c.last_nack ? JSON.stringify(c.last_nack) : '');

export function ControlPlane(): JSX.Element {
  const doc = useTopic<unknown>('clients');
  const asked = useAsk<Info>('info', {}, range.value.live ? 5 : 0);
  const [open, setOpen] = useState('');
  if (doc.data === null) return <Waiting error={doc.error} what="The control plane" />;
  // Those in trouble first.
  const rank = (c: Client) => Number(refused(c)) * 2 + Number(stale(c));
  const clients = [...items<Client>(doc.data)].sort((a, b) => rank(b) - rank(a));
  const found = asked.data ?? info.value;
  const bad = clients.filter(refused);
  const late = clients.filter((c) => !refused(c) && stale(c));
  const level = bad.length ? 'failing' : late.length ? 'degraded' : 'ok';
  const chosen = clients.find((c) => c.id === open);
  const columns: Column<Client>[] = [
    { key: 'level', head: '', cell: (c) => <LevelShape level={levelOf(c)} />, sort: (c) => Number(refused(c)) * 2 + Number(stale(c)) },
    {
      key: 'id',
      head: 'Client',
      wide: true,
      sort: (c) => c.id,
      cell: (c) => (
        <>
          <button type="button" class="plain" aria-expanded={open === c.id} onClick={() => setOpen(open === c.id ? '' : c.id)}>
            <b>{c.id}</b>
          </button>
          <div class="muted small">{c.identity ?? 'no identity'}</div>
          {refused(c) && <div class="reason failing">refused: {why(c)}</div>}
        </>
      ),
    },
    { key: 'version', head: 'Version', cell: (c) => c.version ?? '–', sort: (c) => c.version ?? '' },
    { key: 'holds', head: 'Holds', numeric: true, cell: (c) => plural(c.subscriptions.reduce((n, s) => n + s.names.length, 0), 'resource'), sort: (c) => c.subscriptions.reduce((n, s) => n + s.names.length, 0) },
    { key: 'state', head: 'Configuration', cell: (c) => (refused(c) ? <span class="failing">NACK</span> : stale(c) ? <span class="degraded">not acknowledged for {duration(c.stale_s)}</span> : 'current'), sort: (c) => c.stale_s ?? 0 },
    { key: 'push', head: 'Push took', title: 'From the change to its acknowledgement', numeric: true, cell: (c) => millis(c.push_ms), sort: (c) => c.push_ms ?? 0 },
    { key: 'acks', head: 'ACKs', numeric: true, cell: (c) => count(c.acks), sort: (c) => c.acks },
    { key: 'nacks', head: 'NACKs', numeric: true, cell: (c) => <span class={c.nacks > 0 ? 'degraded' : ''}>{count(c.nacks)}</span>, sort: (c) => c.nacks },
    { key: 'since', head: 'Connected', cell: (c) => ago(c.connected_since, now.value), sort: (c) => c.connected_since },
  ];
  return (
    <div class="screen control">
      <OnlyNow what="Who is connected, and holds what," />
      <div class={`status small ${level}`}>
        <LevelShape level={level} size={22} />
        <div>
          <p class="sentence">
            {clients.length === 0
              ? 'No data plane is connected.'
              : bad.length > 0
                ? `${plural(bad.length, 'data plane')} of ${clients.length} refused what was sent.`
                : late.length > 0
                  ? `${plural(late.length, 'data plane')} of ${clients.length} not up to date.`
                  : `${clients.length === 1 ? 'The data plane holds' : `All ${clients.length} data planes hold`} what is current.`}
          </p>
          {found && (
            <p class="muted">
              Version {found.version}
              {found.source && `, reads a ${found.source === 'folder' ? 'folder' : 'Kubernetes cluster'}`}
              {found.started_at && `, runs since ${moment(found.started_at, now.value)}`}
            </p>
          )}
        </div>
        <span class="grow" />
        <CopyCli command="mesh check" />
      </div>
      {found && <Facts info={found} />}
      <Panel title="Data planes" note={`${plural(clients.length, 'stream')}`}>
        <Table caption="Data planes" columns={columns} rows={clients} rowKey={(c) => c.id + c.connected_since} empty="Nobody holds a stream. A workload joins with AddMesh(), UseMesh() or the sidecar." />
        {chosen && (
          <div class="nested">
            <h3>
              What <code>{chosen.id}</code> holds
            </h3>
            <Table
              caption={`Subscriptions of ${chosen.id}`}
              columns={[
                { key: 'type', head: 'Type', cell: (s) => kindOf(s.type_url), sort: (s) => s.type_url },
                { key: 'status', head: 'Status', cell: (s) => <span class={/nack/i.test(s.status) ? 'failing' : ''}>{s.status}</span>, sort: (s) => s.status },
                { key: 'sent', head: 'Sent', cell: (s) => s.version_sent ?? '–' },
                { key: 'acked', head: 'Acknowledged', cell: (s) => s.version_acked ?? '–' },
                { key: 'names', head: 'Names', wide: true, cell: (s) => <span class="names">{s.names.slice(0, 30).join(', ')}{s.names.length > 30 && ` … and ${s.names.length - 30} more`}</span> },
              ]}
              rows={chosen.subscriptions}
              rowKey={(s) => s.type_url}
            />
            {why(chosen) && <p class="reason">Last NACK: {why(chosen)}</p>}
          </div>
        )}
      </Panel>
    </div>
  );
}

function Facts({ info: found }: { info: Info }): JSX.Element {
  const store = found.store;
  return (
    <div class="two">
      <Panel title="Store" note={store ? (store.kind === 'disk' ? 'on disk' : store.kind === 'memory' ? 'in memory: gone with the process' : store.kind) : ''}>
        {store ? (
          <dl class="facts">
            {store.bytes !== undefined && (
              <>
                <dt>Size</dt>
                <dd>
                  {bytes(store.bytes)}
                  {store.max_bytes ? ` of ${bytes(store.max_bytes)}` : ''}
                  {store.max_bytes ? <meter min={0} max={store.max_bytes} high={store.max_bytes * 0.9} value={store.bytes} aria-label="Size of the store" /> : null}
                </dd>
              </>
            )}
            {store.series !== undefined && (
              <>
                <dt>Series</dt>
                <dd>
                  {count(store.series)}
                  {store.max_series ? ` of ${count(store.max_series)}, ${percent(store.series / store.max_series, 0)}` : ''}
                  {(store.overflowed_series ?? 0) > 0 && <div class="degraded">{count(store.overflowed_series)} more are summed as “other”</div>}
                </dd>
              </>
            )}
            <dt>Reaches back to</dt>
            <dd>{moment(store.oldest, now.value)}</dd>
          </dl>
        ) : (
          <p class="empty">It does not say.</p>
        )}
      </Panel>
      <Panel title="Replicas" note={found.replica && `this is ${found.replica}`}>
        <Table
          caption="Replicas"
          columns={[
            { key: 'name', head: 'Name', wide: true, cell: (r) => <>{r.name}{r.name === found.replica && <span class="muted"> (this one)</span>}</>, sort: (r) => r.name },
            { key: 'leader', head: '', cell: (r) => (r.leader ? <span class="kind">leader</span> : '') },
            { key: 'ok', head: 'Answers', cell: (r) => <span class={`level quiet ${r.reachable ? 'ok' : 'failing'}`}><LevelShape level={r.reachable ? 'ok' : 'failing'} /> {r.reachable ? 'yes' : 'no'}</span> },
          ]}
          rows={found.replicas ?? []}
          rowKey={(r) => r.name}
          empty="It runs alone."
        />
      </Panel>
    </div>
  );
}
