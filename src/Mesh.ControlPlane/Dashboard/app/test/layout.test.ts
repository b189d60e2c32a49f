import { describe, expect, it } from 'vitest';
import { MEASURES, layout, middle, path, type LayoutEdge, type LayoutNode, type Place } from '../src/lib/layout';

const nodes = (...names: string[]): LayoutNode[] => names.map((id) => ({ id, namespace: id.includes('/') ? id.split('/')[0]! : 'shop' }));
const edges = (...pairs: string[]): LayoutEdge[] => pairs.map((p) => ({ source: p.split('>')[0]!, destination: p.split('>')[1]! }));
const places = (made: ReturnType<typeof layout>) => Object.fromEntries([...made.nodes].map(([id, p]) => [id, `${p.layer}:${p.row}`]));

describe('the layout', () => {
  it('puts callers left of what they call, by the longest path', () => {
    const made = layout(nodes('a', 'b', 'c', 'd'), edges('a>b', 'b>c', 'a>c', 'c>d'));
    expect([...'abcd'].map((n) => made.nodes.get(n)!.layer)).toEqual([0, 1, 2, 3]);
    expect(made.edges.find((e) => e.destination === 'c' && e.source === 'a')!.via).toHaveLength(1);
  });

  it('puts nothing upon anything', () => {
    const n = Array.from({ length: 40 }, (_, i) => `n${i}`);
    const made = layout(nodes(...n), n.flatMap((_, i) => edges(`n${i}>n${(i * 7 + 3) % 40}`, `n${i}>n${(i * 3 + 1) % 40}`)));
    const seen = new Set([...made.nodes.values()].map((p) => `${p.x},${p.y}`));
    expect(seen.size).toBe(40);
    for (const p of made.nodes.values()) expect(p.y).toBeLessThan(made.height);
  });

  it('is the same whatever the order of what comes', () => {
    const a = layout(nodes('a', 'b', 'c'), edges('a>b', 'a>c'));
    const b = layout(nodes('c', 'b', 'a'), edges('a>c', 'a>b'));
    expect(places(a)).toEqual(places(b));
  });

  it('uncrosses', () => {
    const made = layout(nodes('a1', 'a2', 'b1', 'b2'), edges('a1>b2', 'a2>b1'));
    const y = (id: string) => made.nodes.get(id)!.y;
    expect(Math.sign(y('a1') - y('a2'))).toBe(Math.sign(y('b2') - y('b1')));
  });

  it('keeps who stays in place, when others come and go', () => {
    const first = layout(nodes('a', 'b', 'c', 'd'), edges('a>b', 'a>c', 'a>d'));
    const fewer = layout(nodes('a', 'b', 'd'), edges('a>b', 'a>d'), first.places);
    for (const id of ['a', 'b', 'd']) expect(fewer.nodes.get(id)).toMatchObject({ x: first.nodes.get(id)!.x, y: first.nodes.get(id)!.y });
    const more = layout(nodes('a', 'aa', 'b', 'c', 'd'), edges('a>aa', 'a>b', 'a>c', 'a>d'), first.places);
    for (const id of ['a', 'b', 'c', 'd']) expect(more.nodes.get(id)).toMatchObject({ x: first.nodes.get(id)!.x, y: first.nodes.get(id)!.y });
    expect(more.nodes.get('aa')!.layer).toBe(1);
  });

  it('keeps the same edge running back in a circle', () => {
    const all = ['x>y', 'y>z', 'z>x'];
    const first = layout(nodes('x', 'y', 'z'), edges(...all));
    const back = first.edges.filter((e) => e.back);
    expect(back).toHaveLength(1);
    const again = layout(nodes('z', 'y', 'x'), edges(...all.reverse()), first.places);
    expect(again.edges.filter((e) => e.back)).toEqual(back);
    expect(places(again)).toEqual(places(first));
  });

  it('gives each namespace a lane of its own', () => {
    const made = layout(nodes('shop/a', 'shop/b', 'pay/c'), edges('shop/a>pay/c', 'shop/a>shop/b'));
    expect(made.lanes.map((l) => l.name)).toEqual(['pay', 'shop']);
    const [pay, shop] = made.lanes;
    expect(made.nodes.get('pay/c')!.y).toBeLessThan(pay!.y + pay!.height);
    expect(made.nodes.get('shop/a')!.y).toBeGreaterThan(shop!.y);
  });

  it('bears nothing, itself, strangers and a long chain', () => {
    expect(layout([], []).height).toBe(0);
    expect(layout(nodes('a'), edges('a>a', 'a>gone')).edges).toHaveLength(1);
    const chain = Array.from({ length: 3000 }, (_, i) => `c${String(i).padStart(5, '0')}`);
    const made = layout(nodes(...chain), chain.slice(1).map((id, i) => ({ source: chain[i]!, destination: id })));
    expect(made.nodes.get(chain[2999]!)!.layer).toBe(2999);
  });

  it('draws lines without holes', () => {
    const made = layout(nodes('a', 'b', 'c'), edges('a>b', 'b>c', 'a>c', 'c>a', 'b>b'));
    for (const e of made.edges) {
      const [from, to] = [made.nodes.get(e.source)!, made.nodes.get(e.destination)!];
      expect(path(from, to, e)).toMatch(/^M[\d.-]+ [\d.-]+/);
      expect(path(from, to, e)).not.toContain('NaN');
      expect(Number.isFinite(middle(from, to, e).x)).toBe(true);
    }
  });

  it('says what a long edge carries beside the nodes that it passes', () => {
    const made = layout(nodes('a', 'b', 'c', 'd'), edges('a>b', 'b>c', 'a>c', 'c>d', 'a>d', 'b>d'));
    for (const e of made.edges.filter((edge) => edge.via.length > 0)) {
      const at = middle(made.nodes.get(e.source)!, made.nodes.get(e.destination)!, e);
      for (const n of made.nodes.values()) expect(at.x > n.x && at.x < n.x + MEASURES.nodeWidth && Math.abs(at.y - n.y - MEASURES.nodeHeight / 2) < MEASURES.nodeHeight / 2 + 9).toBe(false);
    }
  });

  it('keeps places that are asked for', () => {
    const wish = new Map<string, Place>([['b', { layer: 1, row: 3, lane: 'shop' }]]);
    expect(layout(nodes('a', 'b'), edges('a>b'), wish).nodes.get('b')!.row).toBe(3);
  });
});
