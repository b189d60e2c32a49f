// A layered drawing that stays where it is. Callers stand left of what they call (longest path); each namespace has a lane of its own;
// within a lane the order is by barycentre, so that few edges cross. Edges over several layers pass through places of their own.
// What was drawn before keeps its place: a mesh that breathes must not make the picture jump.

export interface LayoutNode {
  id: string;
  namespace: string;
}

export interface LayoutEdge {
  source: string;
  destination: string;
}

/** Where something stood: layer from the left, row within its lane. */
export interface Place {
  layer: number;
  row: number;
  lane: string;
}

export interface Placed extends Place {
  id: string;
  x: number;
  y: number;
}

export interface Routed {
  source: string;
  destination: string;
  /** Against the flow: drawn as an arc below. */
  back: boolean;
  /** Between the two ends, one for each layer that is passed. */
  via: { x: number; y: number }[];
}

export interface Lane {
  name: string;
  y: number;
  height: number;
}

export interface Layout {
  nodes: Map<string, Placed>;
  edges: Routed[];
  lanes: Lane[];
  width: number;
  height: number;
  /** To give to the next one. */
  places: Map<string, Place>;
}

export interface Measures {
  nodeWidth: number;
  nodeHeight: number;
  gapX: number;
  gapY: number;
  laneTop: number;
  laneBottom: number;
  laneGap: number;
}

export const MEASURES: Measures = { nodeWidth: 188, nodeHeight: 58, gapX: 124, gapY: 30, laneTop: 38, laneBottom: 22, laneGap: 18 };

const SWEEPS = 6;
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const passing = (edge: LayoutEdge, layer: number) => `\u0000${edge.source}\u0000${edge.destination}\u0000${layer}`;

export function layout(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[], before: ReadonlyMap<string, Place> = new Map(), m: Measures = MEASURES): Layout {
  const byId = new Map(nodes.map((n) => [n.id, n]));
  const ids = [...byId.keys()].sort(byText);
  const real = unique(edges).filter((e) => byId.has(e.source) && byId.has(e.destination));
  const flow = real.filter((e) => e.source !== e.destination);
  const backwards = backEdges(ids, flow, before);
  const forward = flow.filter((e) => !backwards.has(e));
  const layers = longestPath(ids, forward);

  // Every item: a node, or the place that a long edge passes through.
  const items = new Map<string, { layer: number; lane: string; near: Set<string> }>();
  for (const id of ids) items.set(id, { layer: layers.get(id)!, lane: byId.get(id)!.namespace, near: new Set() });
  for (const edge of forward) {
    let last = edge.source;
    for (let layer = layers.get(edge.source)! + 1; layer < layers.get(edge.destination)!; layer++) {
      const id = passing(edge, layer);
      items.set(id, { layer, lane: byId.get(edge.destination)!.namespace, near: new Set() });
      join(last, id);
      last = id;
    }
    join(last, edge.destination);
  }
  function join(a: string, b: string) {
    items.get(a)!.near.add(b);
    items.get(b)!.near.add(a);
  }

  const lanes = [...new Set([...items.values()].map((i) => i.lane))].sort((a, b) => laneDepth(a) - laneDepth(b) || byText(a, b));
  function laneDepth(lane: string): number {
    // The lane in which traffic starts comes first; order of names decides among equals.
    return lane === '' ? -1 : 0;
  }
  const rows = arrange(items, lanes, before);

  // From rows to pixels.
  const nodesPlaced = new Map<string, Placed>();
  const at = new Map<string, { x: number; y: number }>();
  const drawn: Lane[] = [];
  let top = 0;
  for (const lane of lanes) {
    let last = 0;
    for (const [id, item] of items) if (item.lane === lane) last = Math.max(last, rows.get(id)!);
    const height = m.laneTop + (last + 1) * m.nodeHeight + last * m.gapY + m.laneBottom;
    for (const [id, item] of items) {
      if (item.lane !== lane) continue;
      const x = 20 + item.layer * (m.nodeWidth + m.gapX);
      const y = top + m.laneTop + rows.get(id)! * (m.nodeHeight + m.gapY);
      at.set(id, { x: x + m.nodeWidth / 2, y: y + m.nodeHeight / 2 });
      if (byId.has(id)) nodesPlaced.set(id, { id, layer: item.layer, row: rows.get(id)!, lane, x, y });
    }
    drawn.push({ name: lane, y: top, height });
    top += height + m.laneGap;
  }

  const places = new Map<string, Place>();
  for (const [id, item] of items) places.set(id, { layer: item.layer, row: rows.get(id)!, lane: item.lane });
  const deepest = Math.max(0, ...[...items.values()].map((i) => i.layer));
  return {
    nodes: nodesPlaced,
    edges: real.map((edge) => ({ source: edge.source, destination: edge.destination, back: backwards.has(edge), via: viaOf(edge) })),
    lanes: drawn,
    width: 40 + (deepest + 1) * m.nodeWidth + deepest * m.gapX,
    height: Math.max(0, top - m.laneGap),
    places,
  };

  function viaOf(edge: LayoutEdge) {
    const points: { x: number; y: number }[] = [];
    if (edge.source === edge.destination || backwards.has(edge)) return points;
    for (let layer = layers.get(edge.source)! + 1; layer < layers.get(edge.destination)!; layer++) points.push(at.get(passing(edge, layer))!);
    return points;
  }
}

function unique(edges: readonly LayoutEdge[]): LayoutEdge[] {
  const seen = new Map<string, LayoutEdge>();
  for (const e of edges) seen.set(`${e.source}\u0000${e.destination}`, e);
  return [...seen.entries()].sort((a, b) => byText(a[0], b[0])).map(([, e]) => e);
}

/** Edges that close a circle, found depth first; what stood left before goes first, so that the same edge stays the one that runs back. */
function backEdges(ids: readonly string[], edges: readonly LayoutEdge[], before: ReadonlyMap<string, Place>): Set<LayoutEdge> {
  const out = new Map<string, LayoutEdge[]>(ids.map((id) => [id, []]));
  const incoming = new Map<string, number>(ids.map((id) => [id, 0]));
  for (const e of edges) {
    out.get(e.source)!.push(e);
    incoming.set(e.destination, incoming.get(e.destination)! + 1);
  }
  const stood = (id: string) => before.get(id)?.layer ?? 0;
  // Nobody calls it: it is where traffic starts.
  const order = [...ids].sort((a, b) => Number(incoming.get(a)! > 0) - Number(incoming.get(b)! > 0) || stood(a) - stood(b) || byText(a, b));
  const state = new Map<string, 1 | 2>();
  const back = new Set<LayoutEdge>();
  for (const start of order) {
    if (state.has(start)) continue;
    // Without recursion: a chain of thousands must not end the page.
    const stack: { id: string; next: number }[] = [{ id: start, next: 0 }];
    state.set(start, 1);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const edge = out.get(top.id)![top.next++];
      if (!edge) {
        state.set(top.id, 2);
        stack.pop();
      } else if (state.get(edge.destination) === 1) {
        back.add(edge);
      } else if (!state.has(edge.destination)) {
        state.set(edge.destination, 1);
        stack.push({ id: edge.destination, next: 0 });
      }
    }
  }
  return back;
}

function longestPath(ids: readonly string[], edges: readonly LayoutEdge[]): Map<string, number> {
  const layer = new Map<string, number>(ids.map((id) => [id, 0]));
  const incoming = new Map<string, number>(ids.map((id) => [id, 0]));
  const out = new Map<string, string[]>(ids.map((id) => [id, []]));
  for (const e of edges) {
    incoming.set(e.destination, incoming.get(e.destination)! + 1);
    out.get(e.source)!.push(e.destination);
  }
  const ready = ids.filter((id) => incoming.get(id) === 0);
  for (let i = 0; i < ready.length; i++) {
    const id = ready[i]!;
    for (const next of out.get(id)!) {
      layer.set(next, Math.max(layer.get(next)!, layer.get(id)! + 1));
      incoming.set(next, incoming.get(next)! - 1);
      if (incoming.get(next) === 0) ready.push(next);
    }
  }
  return layer;
}

/** Rows within each lane and layer. Who stood there before stays; who is new takes the free row nearest to its neighbours. */
function arrange(items: ReadonlyMap<string, { layer: number; lane: string; near: Set<string> }>, lanes: readonly string[], before: ReadonlyMap<string, Place>): Map<string, number> {
  const rows = new Map<string, number>();
  const cells = new Map<string, string[]>();
  const laneIndex = new Map(lanes.map((lane, i) => [lane, i]));
  for (const [id, item] of items) {
    const cell = `${laneIndex.get(item.lane)}\u0000${item.layer}`;
    cells.set(cell, [...(cells.get(cell) ?? []), id]);
  }
  const keeps = (id: string) => {
    const place = before.get(id);
    const item = items.get(id)!;
    return place && place.layer === item.layer && place.lane === item.lane ? place.row : undefined;
  };

  for (const members of cells.values()) {
    members.sort((a, b) => Number(a.startsWith('\u0000')) - Number(b.startsWith('\u0000')) || byText(a, b));
    members.forEach((id, i) => rows.set(id, i));
  }

  // Neighbours in other lanes pull towards them too.
  const height = (id: string) => laneIndex.get(items.get(id)!.lane)! * 1000 + rows.get(id)!;
  const wish = (id: string, side: number) => {
    const item = items.get(id)!;
    let [sum, n] = [0, 0];
    for (const other of item.near) {
      if (side === 0 || Math.sign(items.get(other)!.layer - item.layer) === side) {
        sum += height(other);
        n++;
      }
    }
    return n === 0 ? height(id) : sum / n;
  };
  const ordered = [...cells.entries()].sort((a, b) => Number(a[0].split('\u0000')[1]) - Number(b[0].split('\u0000')[1]) || byText(a[0], b[0]));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = sweep % 2 === 0 ? -1 : 1;
    for (const [, members] of side < 0 ? ordered : [...ordered].reverse()) {
      const wishes = new Map(members.map((id) => [id, wish(id, side)]));
      const now = new Map(members.map((id) => [id, rows.get(id)!]));
      members.sort((a, b) => wishes.get(a)! - wishes.get(b)! || now.get(a)! - now.get(b)!);
      members.forEach((id, i) => rows.set(id, i));
    }
  }

  for (const members of cells.values()) {
    const taken = new Set<number>();
    const fresh: string[] = [];
    for (const id of members) {
      const row = keeps(id);
      if (row !== undefined && !taken.has(row)) {
        rows.set(id, row);
        taken.add(row);
      } else fresh.push(id);
    }
    for (const id of fresh) {
      const wanted = rows.get(id)!;
      let row = wanted;
      for (let away = 0; taken.has(row); away++) row = away % 2 === 0 ? wanted + away / 2 + 1 : Math.max(0, wanted - (away + 1) / 2);
      rows.set(id, row);
      taken.add(row);
    }
  }
  return rows;
}

/** The line of an edge, from the right of one node to the left of the other. */
export function path(from: { x: number; y: number }, to: { x: number; y: number }, edge: Routed, m: Measures = MEASURES): string {
  const half = m.nodeHeight / 2;
  if (edge.source === edge.destination) {
    const [x, y] = [from.x + m.nodeWidth - 30, from.y];
    return `M${x} ${y} C${x + 6} ${y - 26} ${x + 46} ${y - 22} ${from.x + m.nodeWidth + 4} ${y + half}`;
  }
  if (edge.back) {
    const [x1, y1, x2, y2] = [from.x + m.nodeWidth / 2, from.y + m.nodeHeight, to.x + m.nodeWidth / 2, to.y + m.nodeHeight];
    const deep = Math.max(y1, y2) + 26;
    return `M${x1} ${y1} C${x1} ${deep} ${x2} ${deep} ${x2} ${y2 + 5}`;
  }
  const points = [{ x: from.x + m.nodeWidth, y: from.y + half }, ...edge.via, { x: to.x - 5, y: to.y + half }];
  let text = `M${points[0]!.x} ${points[0]!.y}`;
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1]!, points[i]!];
    // Through a passed layer it runs level, so that it does not cut the nodes above and below.
    const [start, end] = [i === 1 ? a.x : a.x + m.nodeWidth / 2, i === points.length - 1 ? b.x : b.x - m.nodeWidth / 2];
    if (i > 1) text += ` H${start}`;
    const bend = (end - start) / 2;
    text += ` C${start + bend} ${a.y} ${end - bend} ${b.y} ${end} ${b.y}`;
  }
  return text;
}

/** Where an edge's label stands: in the last layer that it passes, where no node is, else in the middle of its bend. */
export function middle(from: { x: number; y: number }, to: { x: number; y: number }, edge: Routed, m: Measures = MEASURES): { x: number; y: number } {
  const half = m.nodeHeight / 2;
  if (edge.source === edge.destination) return { x: from.x + m.nodeWidth + 10, y: from.y - 8 };
  if (edge.back) return { x: (from.x + to.x + m.nodeWidth) / 2, y: Math.max(from.y, to.y) + m.nodeHeight + 20 };
  const passed = edge.via[edge.via.length - 1];
  if (passed) return passed;
  const start = { x: from.x + m.nodeWidth, y: from.y + half };
  // Nearer to the end: edges that leave one node together are apart there.
  const t = 0.62;
  const end = { x: to.x - 5, y: to.y + half };
  const s = t * t * (3 - 2 * t);
  return { x: start.x + (end.x - start.x) * t, y: start.y + (end.y - start.y) * s };
}
