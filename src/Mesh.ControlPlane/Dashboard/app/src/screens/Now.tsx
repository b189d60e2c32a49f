import type { JSX } from 'preact';
import type { Overview, OverviewService } from '../api';
import { command, timeOptions } from '../lib/cli';
import { clock, millis, moment, plural, rate } from '../lib/format';
import { LABELS, known, severity } from '../lib/levels';
import { Changes, CopyCli, FaultLine, Panel, Secured, ServiceLink, Success, Waiting, Wholeness } from '../parts/Common';
import { LevelBadge, LevelShape } from '../parts/Icon';
import { Past } from '../parts/Past';
import { Spark } from '../parts/Spark';
import { Table, type Column } from '../parts/Table';
import { endFault } from '../parts/Faults';
import { useTopic } from '../state/ask';
import { now } from '../state/live';
import { mayChange } from '../state/session';
import { go, link, range, windowSeconds } from '../state/where';

const COLUMNS: Column<OverviewService>[] = [
  { key: 'level', head: 'Level', cell: (s) => <LevelBadge level={known(s.level)} />, sort: (s) => severity(known(s.level)) },
  {
    key: 'name',
    head: 'Service',
    wide: true,
    sort: (s) => `${s.namespace}/${s.name}`,
    cell: (s) => (
      <>
        <ServiceLink namespace={s.namespace} name={s.name} />
        {s.reasons.map((r) => (
          <div key={r.code} class="reason" data-code={r.code}>
            {r.text}
            {r.since && <span class="muted"> {range.value.live ? 'since' : 'from'} {moment(r.since, now.value)}</span>}
          </div>
        ))}
      </>
    ),
  },
  { key: 'success', head: 'Success', title: 'Successful calls ÷ calls, retries included', numeric: true, cell: (s) => <Success golden={s.golden} />, sort: (s) => s.golden.effective_success_rate },
  { key: 'success-line', head: '15 min', cell: (s) => <Spark values={s.spark?.success_rate} low={spread(s)} high={1} label={`Success of ${s.name}, 15 minutes`} tone={known(s.level)} /> },
  { key: 'rps', head: 'RPS', numeric: true, cell: (s) => rate(s.golden.rps), sort: (s) => s.golden.rps },
  { key: 'rps-line', head: '15 min', cell: (s) => <Spark values={s.spark?.rps} label={`Calls per second of ${s.name}, 15 minutes`} /> },
  { key: 'p50', head: 'p50', numeric: true, cell: (s) => latency(s, s.golden.p50_ms), sort: (s) => s.golden.p50_ms },
  { key: 'p95', head: 'p95', numeric: true, cell: (s) => latency(s, s.golden.p95_ms), sort: (s) => s.golden.p95_ms },
  { key: 'p99', head: 'p99', numeric: true, cell: (s) => latency(s, s.golden.p99_ms), sort: (s) => s.golden.p99_ms },
  { key: 'p99-line', head: '15 min', cell: (s) => <Spark values={s.spark?.p99_ms} label={`p99 of ${s.name}, 15 minutes`} /> },
  { key: 'mtls', head: 'Mutual TLS', numeric: true, cell: (s) => <Secured share={s.golden.mtls_share} requests={s.golden.requests} />, sort: (s) => s.golden.mtls_share },
  {
    key: 'endpoints',
    head: 'Endpoints',
    title: 'Ready of all; ejected and unmeshed ones are named',
    numeric: true,
    sort: (s) => s.endpoints?.ready ?? -1,
    cell: ({ endpoints }) =>
      endpoints ? (
        <>
          {endpoints.ready}/{endpoints.total}
          {endpoints.ejected > 0 && <div class="failing small">{endpoints.ejected} ejected</div>}
          {endpoints.meshed < endpoints.total && <div class="muted small">{endpoints.total - endpoints.meshed} unmeshed</div>}
        </>
      ) : (
        <span class="muted" title="Nobody knows of a time past">–</span>
      ),
  },
];

const latency = (s: OverviewService, value: number) => (s.golden.requests ? millis(value) : <span class="muted">–</span>);

/** A drop of one percent is to be seen, a wobble of a thousandth is not. */
const spread = (s: OverviewService) => Math.min(0.97, ...(s.spark?.success_rate ?? []).filter((v): v is number => v !== null));

export function Now(): JSX.Element {
  const doc = useTopic<Overview>('overview');
  const overview = doc.data;
  if (!overview) return <Waiting error={doc.error} what="What is broken now" />;
  const level = known(overview.status.level);
  const counts = (['failing', 'degraded', 'ok', 'idle'] as const).map((l) => [l, overview.services.filter((s) => known(s.level) === l).length] as const);
  return (
    <div class="screen now">
      <div class={`status ${level}`}>
        <LevelShape level={level} size={30} />
        <div>
          <p class="sentence" data-testid="sentence">
            {overview.status.sentence}
          </p>
          <p class="muted">
            {counts
              .filter(([, n]) => n > 0)
              .map(([l, n]) => `${n} ${LABELS[l]}`)
              .join(' · ')}{' '}
            · {range.value.live ? `the last ${Math.round(windowSeconds.value / 60)} min` : `${moment(range.value.from, now.value)} – ${clock(range.value.to)}`} · as of {clock(overview.at)}
          </p>
        </div>
      </div>
      <Past of={overview} />
      {overview.faults.length > 0 && (
        <div class="faults" aria-label="Faults that are injected now" role="region">
          {overview.faults.map((f) => (
            <FaultLine key={f.id} fault={f} onEnd={f.temporary && mayChange() ? () => void endFault(f) : undefined} />
          ))}
        </div>
      )}
      <Panel title="Services" note={`${plural(overview.services.length, 'service')}, worst first`} actions={<CopyCli command={command('stat', [], { A: true, ...timeOptions(range.value) })} />}>
        <Table
          caption="Services, worst first"
          columns={COLUMNS}
          rows={overview.services}
          rowKey={(s) => `${s.namespace}/${s.name}`}
          rowClass={(s) => known(s.level)}
          onRow={(s) => go(link('service', [s.namespace, s.name]))}
          empty={overview.past ? 'Nobody called any service in that time.' : 'No service is known yet. ‘mesh check’ says what the control plane reads.'}
        />
      </Panel>
      <Panel title="What changed" note={overview.past ? 'in that time' : 'marked on every chart'}>
        <Changes changes={overview.changes} empty="Nothing changed in this time." />
      </Panel>
      <Wholeness of={{ ...overview, from: overview.from ?? new Date(Date.parse(overview.at) - overview.window_s * 1000).toISOString() }} />
    </div>
  );
}
