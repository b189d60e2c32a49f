import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { Balancer, Change, Decision, Endpoint, Envelope, Golden, GoldenItem, Series, ServicePage } from '../api';
import { command, timeOptions } from '../lib/cli';
import { ago, bytes, count, duration, millis, moment, percent, plural, rate } from '../lib/format';
import { known, ofCalls, severity } from '../lib/levels';
import { chartRange, spanQuery, stepFor } from '../lib/route';
import { lines } from '../lib/series';
import { Chart } from '../parts/Chart';
import { Changes, CopyCli, FaultLine, hasConnections, Name, Numbers, Panel, Secured, ServiceLink, Success, Waiting, Wholeness } from '../parts/Common';
import { FaultDialog, endFault } from '../parts/Faults';
import { Icon, LevelBadge, LevelShape } from '../parts/Icon';
import { Past } from '../parts/Past';
import { Table, type Column } from '../parts/Table';
import { useAsk, useTopic } from '../state/ask';
import { items, now } from '../state/live';
import { mayChange, mayTap } from '../state/session';
import { go, link, range } from '../state/where';

const numbers = <T,>(of: (row: T) => Golden): Column<T>[] => [
  { key: 'success', head: 'Success', numeric: true, cell: (r) => <Success golden={of(r)} />, sort: (r) => of(r).effective_success_rate },
  { key: 'rps', head: 'RPS', numeric: true, cell: (r) => rate(of(r).rps), sort: (r) => of(r).rps },
  { key: 'requests', head: 'Calls', numeric: true, cell: (r) => count(of(r).requests), sort: (r) => of(r).requests },
  { key: 'failures', head: 'Failed', numeric: true, cell: (r) => count(of(r).failures), sort: (r) => of(r).failures },
  { key: 'retries', head: 'Retries', numeric: true, cell: (r) => count(of(r).retries), sort: (r) => of(r).retries },
  { key: 'p50', head: 'p50', numeric: true, cell: (r) => (of(r).requests ? millis(of(r).p50_ms) : '–'), sort: (r) => of(r).p50_ms },
  { key: 'p95', head: 'p95', numeric: true, cell: (r) => (of(r).requests ? millis(of(r).p95_ms) : '–'), sort: (r) => of(r).p95_ms },
  { key: 'p99', head: 'p99', numeric: true, cell: (r) => (of(r).requests ? millis(of(r).p99_ms) : '–'), sort: (r) => of(r).p99_ms },
];

const PAIR = numbers<GoldenItem>((p) => p);
const level: Column<GoldenItem> = { key: 'level', head: '', cell: (p) => <LevelShape level={ofCalls(p)} />, sort: (p) => severity(ofCalls(p)) };
const secured: Column<GoldenItem> = { key: 'mtls', head: 'Mutual TLS', numeric: true, cell: (p) => <Secured share={p.mtls_share} requests={p.requests} />, sort: (p) => p.mtls_share };

const INBOUND: Column<GoldenItem>[] = [level, { key: 'name', head: 'Caller', wide: true, cell: (p) => <Name namespace={p.source_namespace} name={p.source} />, sort: (p) => p.source ?? '' }, ...PAIR, secured];
const OUTBOUND: Column<GoldenItem>[] = [
  level,
  { key: 'name', head: 'Called', wide: true, cell: (p) => <ServiceLink namespace={p.destination_namespace} name={p.destination} />, sort: (p) => p.destination ?? '' },
  ...PAIR,
  secured,
];
/** Where anything but HTTP was carried. */
const CONNECTIONS: Column<GoldenItem>[] = [
  { key: 'open', head: 'Connections', title: 'Open now, and opened in the time', numeric: true, cell: (p) => (hasConnections(p) ? <>{count(p.open_connections)}<div class="muted small">{count(p.opened_connections)} opened</div></> : ''), sort: (p) => p.open_connections ?? p.opened_connections ?? 0 },
  { key: 'bytes', head: 'Bytes', title: 'To the called side, and back', numeric: true, cell: (p) => (hasConnections(p) ? <>{bytes(p.received_bytes)}<div class="muted small">{bytes(p.sent_bytes)} back</div></> : ''), sort: (p) => (p.received_bytes ?? 0) + (p.sent_bytes ?? 0) },
];
const withConnections = (columns: Column<GoldenItem>[], rows: GoldenItem[]) => (rows.some(hasConnections) ? [...columns, ...CONNECTIONS] : columns);

const ROUTES: Column<GoldenItem>[] = [
  level,
  { key: 'route', head: 'Route', wide: true, cell: (p) => <code>{p.route || '(none)'}</code>, sort: (p) => p.route ?? '' },
  { key: 'view', head: 'Seen by', cell: (p) => (p.view === 'server' ? 'the called side' : 'callers'), sort: (p) => p.view ?? '' },
  ...PAIR,
];

export function Service({ namespace, name }: { namespace: string; name: string }): JSX.Element {
  const doc = useTopic<ServicePage>(`service:${namespace}/${name}`);
  const [faulting, setFaulting] = useState(false);
  const page = doc.data;
  const r = range.value;
  const live = r.live;
  // Moves on by steps, so that a chart is not asked for anew each second.
  const chart = chartRange(r, Math.ceil(now.value / 10_000) * 10_000);
  const step = stepFor((chart.to - chart.from) / 1000);
  const series = useAsk<Envelope<Series>>(
    'golden/series',
    { by: 'service', destination: name, destination_namespace: namespace, step_s: step, ...spanQuery(r, chart) },
    live ? Math.min(60, step) : 0,
  );
  const marks = useAsk<Envelope<Change> | Change[]>('changes', spanQuery(r, chart), live ? 10 : 0);
  const drawn = useMemo(() => lines(series.data, (s) => s.destination === name && (s.destination_namespace ?? namespace) === namespace), [series.data]);
  const changes = useMemo(() => {
    const all = new Map<string, Change>();
    for (const c of [...(page?.changes ?? []), ...items<Change>(marks.data).filter((c) => !c.service || (c.service === name && (c.namespace ?? namespace) === namespace))]) all.set(c.at + c.what, c);
    return [...all.values()].sort((a, b) => (a.at < b.at ? 1 : -1));
  }, [page?.changes, marks.data]);

  if (!page) return <Waiting error={doc.error} what={`The service ${namespace}/${name}`} />;
  const band: [number, number] = [(live ? chart.to - r.seconds * 1000 : r.from) / 1000, (live ? chart.to : r.to) / 1000];
  const common = { times: drawn.times, marks: changes, band, from: chart.from, to: chart.to, loading: series.loading, error: series.error };
  const ports = (page.ports ?? []).map((p) => `${p.port}${p.protocol ? ` ${p.protocol}` : ''}`).join(', ');
  return (
    <div class="screen service-page">
      <div class={`status small ${known(page.level)}`}>
        <LevelShape level={known(page.level)} size={22} />
        <div>
          <p class="sentence" data-testid="service-level">
            <LevelBadge level={known(page.level)} quiet />
            {page.reasons.length === 0 ? (known(page.level) === 'idle' ? ' Nobody calls it in this time.' : ' Nothing is wrong in this time.') : null}
            {page.reasons.map((x) => (
              <span key={x.code} class="reason">
                {x.text}
                {x.since && <span class="muted"> {live ? 'since' : 'from'} {moment(x.since, now.value)}</span>}
              </span>
            ))}
          </p>
          {ports && <p class="muted">Port {ports}</p>}
        </div>
        <span class="grow" />
        <div class="buttons">
          {mayTap() && (
            <a class="button" href={link('tap', [], { destination: name, namespace, run: '1' })}>
              <Icon name="tap" size={14} /> Tap
            </a>
          )}
          <a class="button" href={link('traces', [], { service: name })}>
            <Icon name="traces" size={14} /> Traces
          </a>
          {mayChange() && (
            <button type="button" onClick={() => setFaulting(true)}>
              <Icon name="bolt" size={14} /> Make this slow or fail …
            </button>
          )}
        </div>
      </div>
      {page.faults.map((f) => (
        <FaultLine key={f.id} fault={f} onEnd={f.temporary && mayChange() ? () => void endFault(f) : undefined} />
      ))}
      <Past of={page} />
      <Numbers golden={page.golden} baseline={page.baseline} />
      <div class="charts">
        <Chart title="Success" format={(v) => percent(v)} {...common} atLeast={[Math.min(0.98, ...drawn.success.filter((v): v is number => v !== null)), 1]} lines={[{ label: 'of calls', color: '--line-ok', values: drawn.success, fill: true }]} />
        <Chart
          title="Calls per second"
          format={rate}
          {...common}
          lines={[
            { label: 'calls', color: '--line-1', values: drawn.rps, fill: true },
            { label: 'failed', color: '--line-bad', values: drawn.failures },
            { label: 'retries', color: '--line-3', values: drawn.retries, dash: [4, 3] },
          ]}
        />
        <Chart
          title="Latency"
          format={millis}
          {...common}
          lines={[
            { label: 'p50', color: '--line-1', values: drawn.p50 },
            { label: 'p95', color: '--line-2', values: drawn.p95, dash: [6, 3] },
            { label: 'p99', color: '--line-3', values: drawn.p99, dash: [2, 3] },
          ]}
        />
      </div>
      <Panel title="Who calls it" note={plural(page.inbound.length, 'caller')} actions={<CopyCli command={command('stat', [name], { n: namespace, ...timeOptions(r) })} />}>
        <Table caption="Callers" columns={withConnections(INBOUND, page.inbound)} rows={page.inbound} rowKey={(p) => `${p.source_namespace}/${p.source}`} empty="Nobody calls it in this time." />
      </Panel>
      <Panel title="What it calls" note={plural(page.outbound.length, 'service')}>
        <Table caption="Called services" columns={withConnections(OUTBOUND, page.outbound)} rows={page.outbound} rowKey={(p) => `${p.destination_namespace}/${p.destination}`} empty="It calls nobody in this time." onRow={(p) => go(link('service', [p.destination_namespace ?? '', p.destination ?? '']))} />
      </Panel>
      <Panel title="Routes" note={plural(page.routes.length, 'row')} actions={<CopyCli command={command('routes', [name], { n: namespace, ...timeOptions(r) })} />}>
        <Table caption="Routes" columns={ROUTES} rows={page.routes} rowKey={(p) => `${p.source}/${p.route}/${p.view}`} empty="No route was taken in this time." />
      </Panel>
      <Endpoints endpoints={page.endpoints} past={page.past ?? false} />
      {page.versions.length > 1 && <Versions page={page} />}
      <div class="two">
        <Panel title="What the mesh did" note="on its own account">
          <Decisions decisions={page.decisions} />
        </Panel>
        <Panel title="What changed" note="marked on the charts">
          <Changes changes={changes} empty="Nothing that concerns it changed in this time." />
        </Panel>
      </div>
      {!page.past && <Panel title="Policies" note={plural(page.policies.length, 'policy', 'policies')} actions={<CopyCli command={command('config', ['explain', name], { n: namespace })} />}>
        <Table
          caption="Policies"
          columns={[
            { key: 'kind', head: 'Kind', cell: (p) => p.kind, sort: (p) => p.kind },
            { key: 'name', head: 'Name', cell: (p) => <Name namespace={p.namespace} name={p.name} />, sort: (p) => p.name },
            { key: 'ok', head: 'In force', cell: (p) => <LevelBadgeText ok={p.accepted} yes="accepted" no="refused" />, sort: (p) => Number(p.accepted) },
            { key: 'settings', head: 'Settings', wide: true, cell: (p) => <code>{p.settings}</code> },
          ]}
          rows={page.policies}
          rowKey={(p) => `${p.kind}/${p.namespace}/${p.name}`}
          empty="No policy targets it: the defaults hold."
        />
      </Panel>}
      <Wholeness of={{ ...page, ...(series.data ?? {}) }} />
      {faulting && <FaultDialog namespace={namespace} service={name} onClose={() => setFaulting(false)} />}
    </div>
  );
}

export function LevelBadgeText({ ok, yes, no }: { ok: boolean; yes: string; no: string }): JSX.Element {
  return (
    <span class={`level quiet ${ok ? 'ok' : 'failing'}`}>
      <LevelShape level={ok ? 'ok' : 'failing'} />
      <span>{ok ? yes : no}</span>
    </span>
  );
}

const STATES: Record<string, 'ok' | 'idle' | 'degraded' | 'failing'> = { ready: 'ok', idle: 'idle', connecting: 'degraded', failing: 'failing', ejected: 'failing' };

function Endpoints({ endpoints, past }: { endpoints: Endpoint[]; past: boolean }): JSX.Element {
  const [open, setOpen] = useState<string>('');
  const ready = endpoints.filter((e) => e.ready).length;
  const live: Column<Endpoint>[] = [
    { key: 'weight', head: 'Weight', numeric: true, cell: (e) => e.weight, sort: (e) => e.weight ?? 0 },
    { key: 'balancers', head: 'Callers’ balancers', cell: (e) => <States endpoint={e} open={open === e.address} toggle={() => setOpen(open === e.address ? '' : e.address)} /> },
  ];
  const columns: Column<Endpoint>[] = [
    { key: 'level', head: '', cell: (e) => <LevelShape level={e.ready === false ? 'failing' : e.balancers.some((b) => b.state === 'ejected') ? 'degraded' : ofCalls(e.golden)} /> },
    {
      key: 'address',
      head: 'Endpoint',
      wide: true,
      sort: (e) => e.address,
      cell: (e) => (
        <>
          <code>{e.address}</code>
          <div class="muted small">
            {[e.workload, e.version, e.zone && `zone ${e.zone}`].filter(Boolean).join(' · ')}
            {e.meshed === false && ' · unmeshed'}
            {e.ready === false && ' · not ready'}
          </div>
        </>
      ),
    },
    ...numbers<Endpoint>((e) => e.golden).filter((c) => c.key !== 'retries'),
    // How they were then is not kept.
    ...(past ? [] : live),
  ];
  const chosen = endpoints.find((e) => e.address === open);
  return (
    <Panel title="Endpoints" note={past ? `${endpoints.length} were called` : `${ready} of ${endpoints.length} ready`}>
      <Table caption="Endpoints" columns={columns} rows={endpoints} rowKey={(e) => e.address} empty={past ? 'No endpoint was reached in that time.' : 'It has no endpoint: every call to it fails.'} />
      {chosen && <Balancers endpoint={chosen} />}
    </Panel>
  );
}

function States({ endpoint, open, toggle }: { endpoint: Endpoint; open: boolean; toggle: () => void }): JSX.Element {
  const counts = new Map<string, number>();
  for (const b of endpoint.balancers) counts.set(b.state, (counts.get(b.state) ?? 0) + 1);
  if (counts.size === 0) return <span class="muted">nobody reports it</span>;
  return (
    <button type="button" class="states" aria-expanded={open} onClick={toggle}>
      {[...counts].map(([state, n]) => (
        <span key={state} class={`level quiet ${STATES[state] ?? 'degraded'}`}>
          <LevelShape level={STATES[state] ?? 'degraded'} /> {n > 1 ? `${n} ` : ''}
          {state}
        </span>
      ))}
    </button>
  );
}

function Balancers({ endpoint }: { endpoint: Endpoint }): JSX.Element {
  const columns: Column<Balancer>[] = [
    { key: 'source', head: 'Caller', cell: (b) => <Name namespace={b.source_namespace} name={b.source} />, sort: (b) => b.source },
    { key: 'instance', head: 'Instance', cell: (b) => <code>{b.instance}</code>, sort: (b) => b.instance },
    {
      key: 'state',
      head: 'State',
      sort: (b) => b.state,
      cell: (b) => (
        <span class={`level quiet ${STATES[b.state] ?? 'degraded'}`}>
          <LevelShape level={STATES[b.state] ?? 'degraded'} /> {b.state}
          {b.ejected_until && ` for ${duration(Math.max(0, (Date.parse(b.ejected_until) - now.value) / 1000))} more`}
        </span>
      ),
    },
    { key: 'active', head: 'In flight', numeric: true, cell: (b) => b.active, sort: (b) => b.active },
    { key: 'ewma', head: 'EWMA', title: 'Moving average of latency, what the balancer chooses by', numeric: true, cell: (b) => millis(b.ewma_ms), sort: (b) => b.ewma_ms },
    { key: 'weight', head: 'Weight', numeric: true, cell: (b) => b.weight, sort: (b) => b.weight },
    { key: 'why', head: 'Why', wide: true, cell: (b) => b.why ?? '' },
    { key: 'at', head: 'Said', cell: (b) => ago(b.at, now.value), sort: (b) => b.at },
  ];
  return (
    <div class="nested">
      <h3>
        What callers’ balancers say of <code>{endpoint.address}</code>
      </h3>
      <Table caption={`Balancers of ${endpoint.address}`} columns={columns} rows={endpoint.balancers} rowKey={(b) => b.instance} />
    </div>
  );
}

/** Side by side, each against the one with most weight. */
function Versions({ page }: { page: ServicePage }): JSX.Element {
  const total = page.versions.reduce((n, v) => n + (v.weight ?? 0), 0) || 1;
  const requests = page.versions.reduce((n, v) => n + v.golden.requests, 0) || 1;
  const base = [...page.versions].sort((a, b) => (b.weight ?? 0) - (a.weight ?? 0))[0]!;
  const against = (value: number, of: number, worseUp: boolean, text: (v: number) => string) => {
    const more = value - of;
    if (Math.abs(more) < 1e-9) return null;
    return <span class={`small ${more > 0 === worseUp ? 'degraded' : 'muted'}`}> {more > 0 ? '+' : '−'}{text(Math.abs(more))}</span>;
  };
  return (
    <Panel title="Versions" note={`against ${base.backend}`}>
      <Table
        caption="Versions"
        columns={[
          { key: 'name', head: 'Backend', wide: true, cell: (v) => <Name namespace={v.backend_namespace} name={v.backend} />, sort: (v) => v.backend },
          { key: 'weight', head: 'Wanted share', numeric: true, cell: (v) => (v.weight === null ? '–' : percent(v.weight / total, 0)), sort: (v) => v.weight ?? -1 },
          { key: 'share', head: 'Real share', numeric: true, cell: (v) => percent(v.golden.requests / requests, 1), sort: (v) => v.golden.requests },
          { key: 'bar', head: '', cell: (v) => <meter min={0} max={1} value={v.golden.requests / requests} aria-label={`Share of ${v.backend}`} /> },
          { key: 'calls', head: 'Attempts', numeric: true, cell: (v) => count(v.golden.requests), sort: (v) => v.golden.requests },
          { key: 'success', head: 'Success', numeric: true, cell: (v) => <>{v.golden.requests ? percent(v.golden.success_rate) : '–'}{v !== base && v.golden.requests > 0 && against(v.golden.success_rate, base.golden.success_rate, false, (x) => percent(x))}</>, sort: (v) => v.golden.success_rate },
          { key: 'p50', head: 'p50', numeric: true, cell: (v) => <>{millis(v.golden.p50_ms)}{v !== base && against(v.golden.p50_ms, base.golden.p50_ms, true, millis)}</>, sort: (v) => v.golden.p50_ms },
          { key: 'p99', head: 'p99', numeric: true, cell: (v) => <>{millis(v.golden.p99_ms)}{v !== base && against(v.golden.p99_ms, base.golden.p99_ms, true, millis)}</>, sort: (v) => v.golden.p99_ms },
        ]}
        rows={page.versions}
        rowKey={(v) => `${v.backend_namespace}/${v.backend}`}
      />
    </Panel>
  );
}

function Decisions({ decisions }: { decisions: Decision[] }): JSX.Element {
  return (
    <Table
      caption="Decisions of the mesh"
      columns={[
        { key: 'decision', head: 'Did', cell: (d) => <b>{d.decision.replace('_', ' ')}</b>, sort: (d) => d.decision },
        { key: 'reason', head: 'Because of', cell: (d) => d.reason || '–', sort: (d) => d.reason },
        { key: 'who', head: 'Where', cell: (d) => <><Name namespace={d.namespace} name={d.workload} /> <span class="muted">{d.side === 'server' ? 'as called' : 'as caller'}</span></>, sort: (d) => d.workload },
        { key: 'count', head: 'Times', numeric: true, cell: (d) => count(d.count), sort: (d) => d.count },
      ]}
      rows={decisions}
      rowKey={(d) => `${d.workload}/${d.side}/${d.decision}/${d.reason}/${d.service}`}
      empty="Nothing: no retry, ejection or denial."
    />
  );
}
