import type { JSX } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import type { Golden, GraphEdge, GraphNode, Topology as Graph } from '../api';
import { command, timeOptions } from '../lib/cli';
import { bytes, count, millis, percent, rate } from '../lib/format';
import { MEASURES, layout, middle, path, type Layout, type Place } from '../lib/layout';
import { isBad, known, severity } from '../lib/levels';
import { CopyCli, hasConnections, Name, Panel, Secured, ServiceLink, Success, Waiting, Wholeness } from '../parts/Common';
import { Icon, LevelBadge, LevelGlyph, LevelShape } from '../parts/Icon';
import { Past } from '../parts/Past';
import { Table, type Column } from '../parts/Table';
import { useTopic } from '../state/ask';
import { go, link, range, setQuery, where } from '../state/where';

const M = MEASURES;
const idOf = (e: GraphEdge) => `${e.source}→${e.destination}`;
const seen = (e: GraphEdge): Golden | null => e.client ?? e.server ?? null;

/** Kept over leaving the screen: what is drawn stays where it was. */
let places: Map<string, Place> = new Map();

export function Topology(): JSX.Element {
  const doc = useTopic<Graph>('topology');
  const query = where.value.query;
  const [tidied, tidy] = useState(0);
  const graph = doc.data;
  const shown = useMemo(() => (graph ? choose(graph, query.find ?? '', query.bad === '1') : null), [graph, query.find, query.bad]);
  const shape = shown ? shown.nodes.map((n) => n.id).join() + '|' + shown.edges.map(idOf).join() : '';
  const drawn = useMemo(() => {
    if (!shown) return null;
    const made = layout(shown.nodes, shown.edges, places);
    // Those that are hidden for now keep their place too.
    places = new Map([...places, ...made.places]);
    return made;
  }, [shape, tidied]);

  if (!graph || !shown || !drawn) return <Waiting error={doc.error} what="The topology" />;
  const asTable = query.as === 'table';
  return (
    <div class="screen topology">
      <div class="tools">
        <label class="inline">
          <span class="hidden">Find</span>
          <input type="search" placeholder="Name or namespace" value={query.find ?? ''} onInput={(e) => setQuery({ find: e.currentTarget.value })} />
        </label>
        <label class="inline">
          <input type="checkbox" checked={query.bad === '1'} onChange={(e) => setQuery({ bad: e.currentTarget.checked ? '1' : '' })} /> Only what is unhealthy, and its neighbours
        </label>
        <span class="grow" />
        <CopyCli command={command('edges', [], { A: true, ...timeOptions(range.value) })} />
        <button type="button" onClick={() => { places = new Map(); tidy((n) => n + 1); }} title="Lay it out anew">
          Tidy
        </button>
        <button type="button" aria-pressed={asTable} onClick={() => setQuery({ as: asTable ? '' : 'table' })}>
          <Icon name={asTable ? 'topology' : 'table'} size={14} /> {asTable ? 'Graph' : 'Table'}
        </button>
      </div>
      <Past of={graph} />
      {asTable ? <Tables graph={shown} /> : <Picture graph={shown} drawn={drawn} />}
      <Wholeness of={graph} />
    </div>
  );
}

function choose(graph: Graph, find: string, onlyBad: boolean): Graph {
  let { nodes, edges } = graph;
  const text = find.trim().toLowerCase();
  if (text) {
    const hit = new Set(nodes.filter((n) => n.id.toLowerCase().includes(text)).map((n) => n.id));
    edges = edges.filter((e) => hit.has(e.source) || hit.has(e.destination));
    const near = new Set([...hit, ...edges.flatMap((e) => [e.source, e.destination])]);
    nodes = nodes.filter((n) => near.has(n.id));
  }
  if (onlyBad) {
    const hit = new Set(nodes.filter((n) => isBad(known(n.level))).map((n) => n.id));
    for (const e of edges) if (isBad(known(e.level))) hit.add(e.source).add(e.destination);
    edges = edges.filter((e) => hit.has(e.source) || hit.has(e.destination));
    const near = new Set([...hit, ...edges.flatMap((e) => [e.source, e.destination])]);
    nodes = nodes.filter((n) => near.has(n.id));
  }
  return { ...graph, nodes, edges };
}

function Picture({ graph, drawn }: { graph: Graph; drawn: Layout }): JSX.Element {
  const selected = where.value.query.sel ?? '';
  const select = (sel: string) => setQuery({ sel });
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  const edges = new Map(graph.edges.map((e) => [idOf(e), e]));
  const [focus, setFocus] = useState('');
  const svg = useRef<SVGSVGElement>(null);
  // Where one came from along an edge: up and down then choose among its other ends.
  const walk = useRef<{ from: string; forward: boolean } | null>(null);
  const node = nodes.get(selected);
  const edge = edges.get(selected);
  const active = focus && nodes.has(focus) ? focus : (graph.nodes[0]?.id ?? '');
  const width = Math.max(drawn.width, 400);

  const focusOn = (id: string) => {
    setFocus(id);
    (svg.current?.querySelector(`[data-node="${CSS.escape(id)}"]`) as SVGElement | null)?.focus();
  };
  const order = (ids: string[]) => ids.filter((id) => drawn.nodes.has(id)).sort((a, b) => drawn.nodes.get(a)!.y - drawn.nodes.get(b)!.y);
  const out = (id: string) => order(graph.edges.filter((e) => e.source === id && e.destination !== id).map((e) => e.destination));
  const into = (id: string) => order(graph.edges.filter((e) => e.destination === id && e.source !== id).map((e) => e.source));

  const onKey = (e: KeyboardEvent, id: string) => {
    let next: string | undefined;
    if (e.key === 'ArrowRight' || e.key === 'ArrowLeft') {
      const forward = e.key === 'ArrowRight';
      next = (forward ? out(id) : into(id))[0];
      if (next) {
        walk.current = { from: id, forward };
        select(forward ? `${id}→${next}` : `${next}→${id}`);
      }
    } else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      const step = e.key === 'ArrowDown' ? 1 : -1;
      const w = walk.current;
      const siblings = w ? (w.forward ? out(w.from) : into(w.from)) : order(graph.nodes.filter((n) => drawn.nodes.get(n.id)?.layer === drawn.nodes.get(id)?.layer).map((n) => n.id));
      next = siblings[siblings.indexOf(id) + step];
      if (next && w) select(w.forward ? `${w.from}→${next}` : `${next}→${w.from}`);
    } else if (e.key === 'Enter') {
      const n = nodes.get(id);
      if (n && n.kind === 'service') go(link('service', [n.namespace, n.name]));
      e.preventDefault();
      return;
    } else if (e.key === ' ') {
      select(id);
      e.preventDefault();
      return;
    } else if (e.key === 'Escape') {
      select('');
      walk.current = null;
      return;
    } else return;
    e.preventDefault();
    if (next) focusOn(next);
  };

  const touches = (e: GraphEdge) => !selected || idOf(e) === selected || e.source === selected || e.destination === selected;
  return (
    <div class={`stage${node || edge ? ' with-panel' : ''}`}>
      <div class="canvas" tabIndex={0} role="region" aria-label="The graph">
        {graph.nodes.length === 0 && <p class="empty">Nothing to draw: no service is known, or none matches.</p>}
        <svg ref={svg} class="graph" style={{ width: '100%', maxWidth: `${width}px`, minWidth: `${Math.round(width * 0.72)}px` }} viewBox={`0 0 ${width} ${drawn.height + 12}`} role="group" aria-label={`Topology: ${graph.nodes.length} nodes, ${graph.edges.length} edges. Arrow keys move along edges.`}>
          <defs>
            {(['ok', 'idle', 'degraded', 'failing'] as const).map((l) => (
              <marker key={l} id={`arrow-${l}`} viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
                <path d="M0 .5L7 4 0 7.500z" class={`arrow ${l}`} />
              </marker>
            ))}
          </defs>
          {drawn.lanes.map((lane) => (
            <g key={lane.name}>
              <rect class="lane" x="0.5" y={lane.y + 0.5} width={width - 1} height={lane.height} rx="10" />
              <text class="lane-name" x="16" y={lane.y + 23}>
                {lane.name || 'outside the mesh'}
              </text>
            </g>
          ))}
          {drawn.edges.map((route) => {
            const e = edges.get(`${route.source}→${route.destination}`);
            const [from, to] = [drawn.nodes.get(route.source), drawn.nodes.get(route.destination)];
            if (!e || !from || !to) return null;
            const golden = seen(e);
            const level = known(e.level);
            const line = path(from, to, route);
            return (
              <g key={idOf(e)} class={`edge ${level}${touches(e) ? '' : ' dim'}${selected === idOf(e) ? ' selected' : ''}`} data-edge={idOf(e)} onClick={() => select(idOf(e))}>
                <path class="hit" d={line} />
                <path class={`line${golden && golden.requests > 0 && e.mtls_share < 1 ? ' plain' : ''}`} d={line} stroke-width={1.3 + Math.min(4.2, Math.log2(1 + (golden?.rps ?? 0)) * 0.55)} marker-end={`url(#arrow-${level})`} />
              </g>
            );
          })}
          {/* Above every line: no other edge crosses what is said of one. */}
          {drawn.edges.map((route) => {
            const e = edges.get(`${route.source}→${route.destination}`);
            const [from, to] = [drawn.nodes.get(route.source), drawn.nodes.get(route.destination)];
            const golden = e && seen(e);
            if (!e || !from || !to || !golden || golden.requests === 0) return null;
            const level = known(e.level);
            const at = middle(from, to, route);
            const decisions = Object.entries(e.decisions ?? {}).filter(([, n]) => n > 0);
            const retries = e.decisions?.retry ?? 0;
            const others = decisions.filter(([d]) => d !== 'retry');
            const extra = (retries > 0 ? ` ↻${count(retries)}` : '') + (others.length > 0 ? ` ⊘${count(others.reduce((n, [, c]) => n + c, 0))}` : '');
            const bad = level === 'failing' || level === 'degraded';
            const calls = `${rate(golden.rps)}${bad ? ` ${percent(1 - golden.effective_success_rate, 1)} ✕` : ''}`;
            // Between two boxes that stand side by side there is little room: the rest takes a line of its own.
            const direct = !route.back && route.source !== route.destination && route.via.length === 0;
            const lines = extra && direct ? [calls, extra.trim()] : [calls + extra];
            // What is bad is bold.
            const w = Math.max(...lines.map((line) => line.length)) * (bad ? 6.8 : 6.2) + 26;
            const h = 4 + 14 * lines.length;
            // Not upon the box that it leads to.
            const x = direct ? Math.min(at.x - w / 2, to.x - w - 9) : at.x - w / 2;
            return (
              <g key={idOf(e)} class={`edge ${level}${touches(e) ? '' : ' dim'}${selected === idOf(e) ? ' selected' : ''}`} transform={`translate(${x} ${at.y - h / 2})`} onClick={() => select(idOf(e))}>
                <rect class="tag" width={w} height={h} rx="9" />
                <g transform="translate(6 3.500) scale(.46)">
                  <path class={e.mtls_share >= 1 ? 'lock' : 'lock open'} d={e.mtls_share >= 1 ? 'M6 11h12v9H6zM9 11V8a3 3 0 016 0v3' : 'M6 11h12v9H6zM9 11V7a3 3 0 015.700-1.300'} />
                </g>
                {lines.map((line, i) => (
                  <text key={i} x="19" y={12.5 + 14 * i}>
                    {line}
                  </text>
                ))}
              </g>
            );
          })}
          {graph.nodes.map((n) => {
            const at = drawn.nodes.get(n.id);
            if (!at) return null;
            const level = known(n.level);
            const ends = n.endpoints;
            const shownName = clip(n.kind === 'unmeshed' ? 'unmeshed callers' : n.name, 17);
            const shownNumbers = n.rps > 0 ? `${rate(n.rps)}/s · ${percent(n.success_rate, 1)} · ${millis(n.p99_ms)}` : n.kind === 'service' && ends ? `idle · ${ends.ready}/${ends.total} ready` : n.kind === 'service' ? 'idle' : n.kind === 'unmeshed' ? 'no identity' : n.kind === 'external' ? 'external' : 'calls only';
            const ejected = ends && ends.ejected > 0 ? `${ends.ejected} ejected` : '';
            return (
              <g
                key={n.id}
                class={`node ${n.kind} ${level}${selected === n.id ? ' selected' : ''}`}
                transform={`translate(${at.x} ${at.y})`}
                data-node={n.id}
                tabIndex={n.id === active ? 0 : -1}
                role="button"
                aria-pressed={selected === n.id}
                aria-label={`${shownName} ${shownNumbers} ${ejected && ejected + ' '}– ${n.name}${n.namespace && ` in ${n.namespace}`} is ${level}${n.rps > 0 ? `, ${rate(n.rps)} calls per second, success ${percent(n.success_rate)}, p99 ${millis(n.p99_ms)}` : ''}${ends ? `, ${ends.ready} of ${ends.total} endpoints ready` : ''}. Calls ${out(n.id).length}, called by ${into(n.id).length}.`}
                onFocus={() => setFocus(n.id)}
                onKeyDown={(e) => onKey(e, n.id)}
                onClick={() => { walk.current = null; select(selected === n.id ? '' : n.id); }}
                onDblClick={() => n.kind === 'service' && go(link('service', [n.namespace, n.name]))}
              >
                <rect class="ring" x="-4" y="-4" width={M.nodeWidth + 8} height={M.nodeHeight + 8} rx={n.kind === 'workload' ? 33 : 12} />
                <rect class="box" width={M.nodeWidth} height={M.nodeHeight} rx={n.kind === 'workload' ? 29 : 9} />
                <g class={`shape ${level}`} transform="translate(12 12) scale(1.250)">
                  <LevelGlyph level={level} />
                </g>
                <text class="name" x="36" y="25">
                  {shownName}
                </text>{' '}
                <text class="numbers" x="36" y="44">
                  {shownNumbers}
                </text>{' '}
                {ejected && (
                  <g transform={`translate(${M.nodeWidth - 10} -8)`}>
                    <rect class="badge" x="-58" width="62" height="17" rx="8.500" />
                    <text class="badge-text" x="-27" y="12.500" text-anchor="middle">
                      {ejected}
                    </text>
                  </g>
                )}
              </g>
            );
          })}
        </svg>
      </div>
      {node && <NodePanel node={node} graph={graph} onClose={() => select('')} />}
      {edge && <EdgePanel edge={edge} nodes={nodes} onClose={() => select('')} />}
      <ul class="legend-row" aria-label="Legend">
        {(['failing', 'degraded', 'ok', 'idle'] as const).map((l) => (
          <li key={l}>
            <LevelBadge level={l} quiet />
          </li>
        ))}
        <li>wider: more calls</li>
        <li>dashed: plaintext</li>
        <li>
          <Icon name="lock" size={12} /> mutual TLS
        </li>
        <li>↻ retries</li>
        <li>⊘ other decisions of the mesh</li>
      </ul>
    </div>
  );
}

const clip = (text: string, length: number) => (text.length > length ? text.slice(0, length - 1) + '…' : text);

function NodePanel({ node, graph, onClose }: { node: GraphNode; graph: Graph; onClose: () => void }): JSX.Element {
  const near = graph.edges.filter((e) => e.source === node.id || e.destination === node.id).sort((a, b) => severity(known(b.level)) - severity(known(a.level)));
  return (
    <aside class="panel side-panel" aria-label={`About ${node.name}`}>
      <header>
        <LevelShape level={known(node.level)} size={14} />
        <h2>
          {node.name}
          {node.namespace && <small>{node.namespace}</small>}
        </h2>
        <button type="button" class="ghost" aria-label="Close" onClick={onClose}>
          <Icon name="close" size={14} />
        </button>
      </header>
      <dl class="facts">
        <dt>Calls per second</dt>
        <dd>{rate(node.rps)}</dd>
        <dt>Success</dt>
        <dd>{node.rps > 0 ? percent(node.success_rate) : '–'}</dd>
        <dt>p99</dt>
        <dd>{node.rps > 0 ? millis(node.p99_ms) : '–'}</dd>
        {node.endpoints && (
          <>
            <dt>Endpoints ready</dt>
            <dd>
              {node.endpoints.ready} of {node.endpoints.total}
              {node.endpoints.ejected > 0 && `, ${node.endpoints.ejected} ejected`}
            </dd>
          </>
        )}
        {node.zones && node.zones.length > 0 && (
          <>
            <dt>Zones</dt>
            <dd>{node.zones.join(', ')}</dd>
          </>
        )}
        {node.workloads && node.workloads.length > 0 && (
          <>
            <dt>Workloads</dt>
            <dd>{node.workloads.join(', ')}</dd>
          </>
        )}
      </dl>
      <ul class="near">
        {near.map((e) => (
          <li key={idOf(e)}>
            <button type="button" onClick={() => setQuery({ sel: idOf(e) })}>
              <LevelShape level={known(e.level)} /> {e.source === node.id ? `→ ${short(e.destination)}` : `← ${short(e.source)}`} <span class="num">{rate(seen(e)?.rps)}/s</span>
            </button>
          </li>
        ))}
      </ul>
      {node.kind === 'service' && (
        <a class="button primary" href={link('service', [node.namespace, node.name])}>
          Open {node.name} <Icon name="arrow" size={14} />
        </a>
      )}
    </aside>
  );
}

const short = (id: string) => id.slice(id.indexOf('/') + 1);

function EdgePanel({ edge, nodes, onClose }: { edge: GraphEdge; nodes: Map<string, GraphNode>; onClose: () => void }): JSX.Element {
  const rows: [string, (g: Golden) => string][] = [
    ['Calls', (g) => count(g.requests)],
    ['Per second', (g) => rate(g.rps)],
    ['Failed', (g) => count(g.failures)],
    ['Success', (g) => (g.requests ? percent(g.effective_success_rate) : '–')],
    ['… of attempts', (g) => (g.requests ? percent(g.success_rate) : '–')],
    ['Retries', (g) => count(g.retries)],
    ['p50', (g) => millis(g.p50_ms)],
    ['p95', (g) => millis(g.p95_ms)],
    ['p99', (g) => millis(g.p99_ms)],
    // Of bytes that are no HTTP.
    ...(hasConnections(edge.client) || hasConnections(edge.server)
      ? ([
          ['Connections open', (g) => count(g.open_connections)],
          ['… opened', (g) => count(g.opened_connections)],
          ['… ended', (g) => count(g.connections)],
          ['Bytes to it', (g) => bytes(g.received_bytes)],
          ['Bytes back', (g) => bytes(g.sent_bytes)],
        ] as [string, (g: Golden) => string][])
      : []),
  ];
  const [source, destination] = [nodes.get(edge.source), nodes.get(edge.destination)];
  const decisions = Object.entries(edge.decisions ?? {}).filter(([, n]) => n > 0);
  return (
    <aside class="panel side-panel" aria-label={`From ${edge.source} to ${edge.destination}`}>
      <header>
        <LevelShape level={known(edge.level)} size={14} />
        <h2>
          {short(edge.source)} → {short(edge.destination)}
        </h2>
        <button type="button" class="ghost" aria-label="Close" onClick={onClose}>
          <Icon name="close" size={14} />
        </button>
      </header>
      <table class="both">
        <caption class="hidden">Both sides of the edge</caption>
        <thead>
          <tr>
            <td />
            <th scope="col" class="num" title="What the caller saw: network and retries included">
              Caller
            </th>
            <th scope="col" class="num" title="What the called side saw">
              Called
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([label, text]) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td class="num">{edge.client ? text(edge.client) : '–'}</td>
              <td class="num">{edge.server ? text(edge.server) : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="muted">
        {edge.routed
          ? `What the routes of ${short(edge.source)} led here, as it arrived. Who called is on the edges to ${short(edge.source)}.`
          : 'What only the caller sees is the network and what the mesh did: retries, ejections, time-outs.'}
      </p>
      <p>
        <Secured share={edge.mtls_share} requests={seen(edge)?.requests ?? 0} /> of calls in mutual TLS
      </p>
      {decisions.length > 0 && (
        <ul class="plainlist">
          {decisions.map(([d, n]) => (
            <li key={d}>
              {d}: <b>{count(n)}</b>
            </li>
          ))}
        </ul>
      )}
      <div class="buttons">
        {destination?.kind === 'service' && (
          <a class="button" href={link('service', [destination.namespace, destination.name])}>
            Open {destination.name}
          </a>
        )}
        {source && destination && source.kind !== 'unmeshed' && (
          <a class="button" href={link('tap', [], { ...(edge.routed ? {} : { source: source.name }), destination: destination.name, run: '1' })}>
            Tap it
          </a>
        )}
        {source && destination && (
          <a class="button" href={link('traces', [], { ...(edge.routed || source.kind === 'unmeshed' ? {} : { source: source.name }), destination: destination.name })}>
            Traces
          </a>
        )}
      </div>
    </aside>
  );
}

function Tables({ graph }: { graph: Graph }): JSX.Element {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  const name = (id: string) => {
    const n = nodes.get(id);
    return n?.kind === 'service' ? <ServiceLink namespace={n.namespace} name={n.name} /> : <Name namespace={n?.namespace} name={n?.name ?? id} />;
  };
  const none: Golden = { requests: 0, failures: 0, retries: 0, success_rate: 1, effective_success_rate: 1, rps: 0, p50_ms: 0, p95_ms: 0, p99_ms: 0, mtls_share: 0 };
  const g = (e: GraphEdge) => seen(e) ?? none;
  const columns: Column<GraphEdge>[] = [
    { key: 'level', head: 'Level', cell: (e) => <LevelBadge level={known(e.level)} />, sort: (e) => severity(known(e.level)) },
    { key: 'from', head: 'Caller', cell: (e) => name(e.source), sort: (e) => e.source },
    { key: 'to', head: 'Called', cell: (e) => name(e.destination), sort: (e) => e.destination },
    { key: 'success', head: 'Success', numeric: true, cell: (e) => <Success golden={g(e)} />, sort: (e) => g(e).effective_success_rate },
    { key: 'rps', head: 'RPS', numeric: true, cell: (e) => rate(g(e).rps), sort: (e) => g(e).rps },
    { key: 'p50', head: 'p50', numeric: true, cell: (e) => millis(g(e).p50_ms), sort: (e) => g(e).p50_ms },
    { key: 'p95', head: 'p95', numeric: true, cell: (e) => millis(g(e).p95_ms), sort: (e) => g(e).p95_ms },
    { key: 'p99', head: 'p99', numeric: true, cell: (e) => millis(g(e).p99_ms), sort: (e) => g(e).p99_ms },
    { key: 'server', head: 'p99 called side', numeric: true, cell: (e) => (e.server ? millis(e.server.p99_ms) : '–'), sort: (e) => e.server?.p99_ms ?? 0 },
    { key: 'retries', head: 'Retries', numeric: true, cell: (e) => count(g(e).retries), sort: (e) => g(e).retries },
    { key: 'mtls', head: 'Mutual TLS', numeric: true, cell: (e) => <Secured share={e.mtls_share} requests={g(e).requests} />, sort: (e) => e.mtls_share },
  ];
  return (
    <Panel title="Edges" note={`${graph.edges.length} between ${graph.nodes.length}`}>
      <Table caption="Edges" columns={columns} rows={graph.edges} rowKey={idOf} onRow={(e) => setQuery({ sel: idOf(e), as: '' })} empty="Nobody calls anybody in this time." />
    </Panel>
  );
}
