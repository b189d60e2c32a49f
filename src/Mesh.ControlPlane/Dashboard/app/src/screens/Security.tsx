import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { Certificate, Denial, Envelope, Security as Doc } from '../api';
import { command, timeOptions } from '../lib/cli';
import { ago, count, duration, moment, percent, plural } from '../lib/format';
import { CopyCli, Name, Panel, Secured, ServiceLink, Waiting, Wholeness } from '../parts/Common';
import { Icon, LevelShape } from '../parts/Icon';
import { Past } from '../parts/Past';
import { Table, type Column } from '../parts/Table';
import { useAsk } from '../state/ask';
import { now } from '../state/live';
import { timeQuery } from '../lib/route';
import { range } from '../state/where';

export function Security(): JSX.Element {
  const asked = useAsk<Doc>('security', timeQuery(range.value), range.value.live ? 5 : 0);
  const denials = useAsk<Envelope<Denial>>('denials', timeQuery(range.value), range.value.live ? 5 : 0);
  if (!asked.data) return <Waiting error={asked.error} what="Security" />;
  const doc: Doc = { ...asked.data, denials: asked.data.denials ?? denials.data?.items ?? [] };
  const pairs = doc.mtls.filter((p) => p.requests > 0);
  const requests = pairs.reduce((n, p) => n + p.requests, 0);
  const secured = pairs.reduce((n, p) => n + p.requests * p.mtls_share, 0);
  const share = requests ? secured / requests : 1;
  const plain = pairs.filter((p) => p.mtls_share < 1);
  const soon = doc.certificates.filter((c) => c.life_used >= 0.75);
  const denied = doc.denials!.filter((d) => !d.audit).reduce((n, d) => n + d.count, 0);
  const short = doc.from && doc.denials_reach_back_to && Date.parse(doc.denials_reach_back_to) > Date.parse(doc.from) + 1000;
  const bad = plain.length > 0 || soon.length > 0;
  return (
    <div class="screen security">
      {asked.error && <div class="state error">{asked.error}</div>}
      <div class={`status small ${bad ? 'degraded' : 'ok'}`}>
        <LevelShape level={bad ? 'degraded' : 'ok'} size={22} />
        <div>
          <p class="sentence">
            {requests === 0 ? 'Nobody called anybody in this time.' : share >= 1 ? 'Every call was in mutual TLS.' : `${percent(share, 1)} of calls were in mutual TLS; ${plural(plain.length, 'pair')} used plaintext.`}
          </p>
          <p class="muted">
            {!doc.past && (
              <>
                {plural(doc.certificates.length, 'certificate')}, {soon.length === 0 ? 'none past three quarters of its life' : `${soon.length} past three quarters of their life`} · {plural(doc.unmeshed.length, 'unmeshed endpoint')} ·{' '}
              </>
            )}
            {denied === 0 ? 'nobody was denied' : `${plural(denied, 'call')} denied`}
          </p>
        </div>
      </div>
      <Past of={doc} />
      <Matrix doc={doc} />
      <Panel title="Denied" note="with the rule that came nearest to allowing it">
        {short && <p class="degraded">Denials are kept for a day, in memory: these reach back to {moment(doc.denials_reach_back_to!, now.value)}.</p>}
        <Denials denials={doc.denials!} />
      </Panel>
      {!doc.past && <Certificates certificates={doc.certificates} roots={doc.roots} />}
      {!doc.past && <Panel title="Not in the mesh" note="nothing protects calls to these">
        <Table
          caption="Unmeshed endpoints"
          columns={[
            { key: 'service', head: 'Service', cell: (u) => <ServiceLink namespace={u.namespace} name={u.service} />, sort: (u) => u.service },
            { key: 'address', head: 'Endpoint', cell: (u) => <code>{u.address}</code>, sort: (u) => u.address },
            { key: 'reason', head: 'Why', wide: true, cell: (u) => u.reason ?? '' },
          ]}
          rows={doc.unmeshed}
          rowKey={(u) => `${u.service}/${u.address}`}
          empty="Every endpoint is in the mesh."
        />
      </Panel>}
      <Wholeness of={doc} />
    </div>
  );
}

function Matrix({ doc }: { doc: Doc }): JSX.Element {
  const [asTable, setAsTable] = useState(false);
  const { sources, destinations, cells } = useMemo(() => {
    const id = (ns: string | null | undefined, name: string | null | undefined) => (name ? `${ns ?? ''}/${name}` : 'unmeshed');
    const sources = [...new Set(doc.mtls.map((m) => id(m.source_namespace, m.source)))].sort();
    const destinations = [...new Set(doc.mtls.map((m) => id(m.destination_namespace, m.destination)))].sort();
    const cells = new Map(doc.mtls.map((m) => [`${id(m.source_namespace, m.source)}\u0000${id(m.destination_namespace, m.destination)}`, m]));
    return { sources, destinations, cells };
  }, [doc.mtls]);
  const short = (id: string) => id.slice(id.indexOf('/') + 1);
  const unknown = doc.past ? 'not known of then' : 'no identity';
  const big = sources.length * destinations.length > 900;
  return (
    <Panel
      title="Mutual TLS"
      note="callers down, called across"
      actions={
        <>
          <CopyCli command={command('edges', [], { A: true, o: 'wide', ...timeOptions(range.value) })} />
          <button type="button" aria-pressed={asTable || big} onClick={() => setAsTable(!asTable)} disabled={big}>
            <Icon name="table" size={14} /> Table
          </button>
        </>
      }
    >
      {doc.mtls.length === 0 ? (
        <p class="empty">Nobody called anybody in this time.</p>
      ) : asTable || big ? (
        <Table
          caption="Mutual TLS per pair"
          columns={[
            { key: 'source', head: 'Caller', cell: (m) => <Name namespace={m.source_namespace} name={m.source} />, sort: (m) => m.source ?? '' },
            { key: 'sid', head: 'As', cell: (m) => <code>{m.source_identity ?? unknown}</code> },
            { key: 'destination', head: 'Called', cell: (m) => <ServiceLink namespace={m.destination_namespace} name={m.destination} />, sort: (m) => m.destination ?? '' },
            { key: 'did', head: 'As', cell: (m) => <code>{m.destination_identity ?? unknown}</code> },
            { key: 'share', head: 'Mutual TLS', numeric: true, cell: (m) => <Secured share={m.mtls_share} requests={m.requests} />, sort: (m) => m.mtls_share },
            { key: 'requests', head: 'Calls', numeric: true, cell: (m) => count(m.requests), sort: (m) => m.requests },
          ]}
          rows={doc.mtls}
          rowKey={(m) => `${m.source_namespace}/${m.source}→${m.destination_namespace}/${m.destination}`}
        />
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Mutual TLS matrix">
          <table class="matrix">
            <caption class="hidden">Share of calls in mutual TLS, callers down, called across</caption>
            <thead>
              <tr>
                <td />
                {destinations.map((d) => (
                  <th key={d} scope="col" title={d}>
                    <span>{short(d)}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {sources.map((s) => (
                <tr key={s}>
                  <th scope="row" title={s}>
                    {short(s)}
                  </th>
                  {destinations.map((d) => {
                    const m = cells.get(`${s}\u0000${d}`);
                    if (!m || m.requests === 0) return <td key={d} class="none" />;
                    const full = m.mtls_share >= 1;
                    return (
                      <td key={d} class={full ? 'full' : m.mtls_share <= 0 ? 'zero' : 'part'} title={`${s} → ${d}: ${percent(m.mtls_share, 1)} of ${count(m.requests)} calls in mutual TLS. ${m.source_identity ?? unknown} → ${m.destination_identity ?? unknown}`}>
                        <Icon name={full ? 'lock' : 'open'} size={13} />
                        {full ? <span class="hidden">100 %</span> : <span>{percent(m.mtls_share, 0)}</span>}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Denials({ denials }: { denials: Denial[] }): JSX.Element {
  const columns: Column<Denial>[] = [
    { key: 'at', head: 'Last', cell: (d) => moment(d.at, now.value), sort: (d) => d.at },
    { key: 'caller', head: 'Caller', cell: (d) => <code>{d.caller || 'no identity'}</code>, sort: (d) => d.caller },
    { key: 'workload', head: 'Called', cell: (d) => <Name namespace={d.namespace} name={d.workload} />, sort: (d) => d.workload },
    { key: 'request', head: 'Example', wide: true, cell: (d) => <><b>{d.method}</b> <code>{d.path}</code></> },
    { key: 'audit', head: '', cell: (d) => (d.audit ? <span class="kind">only noted</span> : <span class="level quiet failing"><LevelShape level="failing" /> denied</span>), sort: (d) => Number(d.audit) },
    { key: 'rule', head: 'By', cell: (d) => d.rule || 'no rule allowed it', sort: (d) => d.rule ?? '' },
    { key: 'nearest', head: 'Nearest rule', wide: true, cell: (d) => d.nearest ?? '' },
    { key: 'count', head: 'Times', numeric: true, cell: (d) => count(d.count), sort: (d) => d.count },
  ];
  return <Table caption="Denied calls" columns={columns} rows={denials} rowKey={(d) => `${d.at}/${d.caller}/${d.workload}/${d.rule}/${d.path}`} empty="Nobody was denied in this time." />;
}

function Certificates({ certificates, roots }: { certificates: Certificate[]; roots: Doc['roots'] }): JSX.Element {
  const [asTable, setAsTable] = useState(false);
  const at = now.value;
  const rows = useMemo(() => [...certificates].sort((a, b) => (a.not_after < b.not_after ? -1 : 1)), [certificates]);
  const first = Math.min(at, ...rows.map((c) => Date.parse(c.not_before)));
  const last = Math.max(at + 1000, ...rows.map((c) => Date.parse(c.not_after)));
  const x = (t: number) => ((t - first) / (last - first)) * 100;
  return (
    <Panel
      title="Certificates"
      note="soonest to end first"
      actions={
        <>
          <CopyCli command="mesh identity list" />
          <button type="button" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
            <Icon name="table" size={14} /> Table
          </button>
        </>
      }
    >
      {asTable ? (
        <Table
          caption="Certificates"
          columns={[
            { key: 'identity', head: 'Identity', wide: true, cell: (c) => <code>{c.identity}</code>, sort: (c) => c.identity },
            { key: 'node', head: 'Node', cell: (c) => c.node ?? '', sort: (c) => c.node ?? '' },
            { key: 'from', head: 'From', cell: (c) => moment(c.not_before, at), sort: (c) => c.not_before },
            { key: 'to', head: 'Until', cell: (c) => moment(c.not_after, at), sort: (c) => c.not_after },
            { key: 'used', head: 'Life used', numeric: true, cell: (c) => percent(c.life_used, 0), sort: (c) => c.life_used },
            { key: 'serial', head: 'Serial', cell: (c) => <code>{c.serial}</code> },
            { key: 'issuer', head: 'Issuer', cell: (c) => c.issuer ?? '' },
          ]}
          rows={rows}
          rowKey={(c) => c.serial}
          empty="No certificate is in force."
        />
      ) : rows.length === 0 ? (
        <p class="empty">No certificate is in force.</p>
      ) : (
        <div class="timeline" role="list">
          {rows.slice(0, 40).map((c) => {
            const [from, to] = [Date.parse(c.not_before), Date.parse(c.not_after)];
            const tone = c.life_used >= 0.9 ? 'failing' : c.life_used >= 0.75 ? 'degraded' : 'ok';
            return (
              <div key={c.serial} class="life" role="listitem">
                <span class="who" title={`${c.identity} ${c.node ?? ''}`}>
                  {c.identity.replace(/^spiffe:\/\/[^/]+/, '')}
                  {c.node && <small>{c.node}</small>}
                </span>
                <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                  <rect class="whole" x={x(from)} width={Math.max(0.6, x(to) - x(from))} y="2.500" height="5" />
                  <rect class={`used ${tone}`} x={x(from)} width={Math.max(0.3, Math.min(x(at), x(to)) - x(from))} y="2.500" height="5" />
                  <rect class="nowline" x={x(at) - 0.05} width="0.120" y="0" height="10" />
                </svg>
                <span class={`left ${tone === 'ok' ? '' : tone}`}>
                  {to > at ? `${duration((to - at) / 1000)} left` : `ended ${ago(c.not_after, at)}`} · {percent(c.life_used, 0)} used
                </span>
              </div>
            );
          })}
          {rows.length > 40 && <p class="empty">{rows.length - 40} more: see the table.</p>}
        </div>
      )}
      {roots.length > 0 && (
        <ul class="roots">
          {roots.map((r) => (
            <li key={r.subject + r.not_after}>
              <Icon name="key" size={13} /> {r.current ? 'Root' : 'Older root, still believed'}: <code>{r.subject}</code> until {moment(r.not_after, at)}, {duration((Date.parse(r.not_after) - at) / 1000)} left
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
