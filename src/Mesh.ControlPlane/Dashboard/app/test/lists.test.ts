import { describe, expect, it } from 'vitest';
import type { Envelope, Series, Span } from '../src/api';
import { command, quote, tapOptions, timeOptions, traceOptions } from '../src/lib/cli';
import { Ring } from '../src/lib/ring';
import { rank } from '../src/lib/search';
import { MAX_POINTS, lines, lone } from '../src/lib/series';
import { waterfall } from '../src/lib/waterfall';

describe('copy as CLI', () => {
  it('says the exact command', () => {
    expect(command('stat', ['cart'], { n: 'shop', ...timeOptions({ live: true, seconds: 300 }) })).toBe('mesh stat cart -n shop -t 5m');
    expect(command('stat', [], { A: true, ...timeOptions({ live: true, seconds: 604_800 }) })).toBe('mesh stat -A -t 7d');
    expect(command('tap', [null, ''], { path: '', status: undefined })).toBe('mesh tap');
    expect(command('tap', [], tapOptions({ namespace: 'shop', source: 'cart', destination: 'pricing', status: '5xx', min_ms: '100', max_rps: '5' }))).toBe(
      'mesh tap -n shop --from cart --to pricing --status 5xx --min 100ms --max-rps 5',
    );
  });

  it('gives a name and the end of a time to one option', () => {
    const query = { source: 'cart', destination: 'pricing', labels: 'tier!=test', failed: '1' };
    expect(command('traces', [], traceOptions(query, { live: true, seconds: 300 }))).toBe("mesh traces --from cart --to pricing -l 'tier!=test' --failed");
    expect(command('traces', [], traceOptions({ source: 'cart' }, { live: false, from: 0, to: 60_000 }))).toBe(
      'mesh traces --from cart --from 1970-01-01T00:00:00.000Z --to 1970-01-01T00:01:00.000Z',
    );
  });

  it('quotes what a shell would take apart', () => {
    expect(quote('/prices/*')).toBe("'/prices/*'");
    expect(quote("a'b; rm -rf /")).toBe(`'a'\\''b; rm -rf /'`);
    expect(quote('shop/cart')).toBe('shop/cart');
  });
});

describe('the newest rows', () => {
  it('puts another in the place of one that is there', () => {
    const ring = new Ring<{ n: number; open: boolean }>(2);
    ring.push({ n: 1, open: true });
    ring.push({ n: 2, open: true });
    ring.push({ n: 3, open: true });
    expect(ring.replace((r) => r.n === 1, (r) => ({ ...r, open: false }))).toBe(false);
    expect(ring.replace((r) => r.n === 2, (r) => ({ ...r, open: false }))).toBe(true);
    expect(ring.newest()).toEqual([
      { n: 3, open: true },
      { n: 2, open: false },
    ]);
    expect(ring.total).toBe(3);
  });

  it('stay within their number, newest first', () => {
    const ring = new Ring<number>(3);
    expect(ring.newest()).toEqual([]);
    ring.push(1);
    ring.push(2);
    expect(ring.newest()).toEqual([2, 1]);
    for (let i = 3; i <= 8; i++) ring.push(i);
    expect(ring.newest()).toEqual([8, 7, 6]);
    expect(ring.total).toBe(8);
    ring.clear();
    expect(ring.newest()).toEqual([]);
  });
});

describe('search', () => {
  it('puts what begins so first', () => expect(rank(['recommendations', 'cart', 'shop/cart-v2'], 'cart', (x) => x)).toEqual(['cart', 'shop/cart-v2']));
  it('takes all words, in any order', () => expect(rank(['cart shop', 'cart pay'], 'pay ca', (x) => x)).toEqual(['cart pay']));
});

describe('series', () => {
  const answer = (requests: (number | null)[], failures: (number | null)[]): Envelope<Series> => ({
    from: '', to: '', step_s: 10, items: [{ t0: '2026-01-01T00:00:00Z', requests, failures, retries: [], p50_ms: [], p95_ms: [], p99_ms: [] }],
  });

  it('become rates, and gaps stay gaps', () => {
    const drawn = lines(answer([100, null, 0], [5, null, 0]));
    expect(drawn.rps).toEqual([10, null, 0]);
    expect(drawn.success).toEqual([0.95, null, null]);
    expect(drawn.times[1]! - drawn.times[0]!).toBe(10);
  });

  it('have no rate for a step that is not over', () => {
    const drawn = lines({ ...answer([100, 100, 20], [0, 0, 1]), to: '2026-01-01T00:00:22Z' });
    expect(drawn.rps).toEqual([10, 10, null]);
    expect(drawn.success).toEqual([1, 1, 0.95]);
  });

  it('hold no more than can be seen', () => {
    const drawn = lines(answer(Array(5000).fill(1), Array(5000).fill(0)));
    expect(drawn.times).toHaveLength(MAX_POINTS);
    expect(drawn.times.at(-1)).toBe(Date.UTC(2026, 0, 1) / 1000 + 4999 * 10);
  });
});

describe('what stands alone', () => {
  it('is found between gaps and at the ends, and nowhere else', () => {
    expect(lone([1, null, 2, 3, null, 0, undefined, 4])).toEqual([0, 5, 7]);
    expect(lone([1])).toEqual([0]);
    expect(lone([1, 2])).toEqual([]);
    expect(lone([null, Number.NaN])).toEqual([]);
    expect(lone([])).toEqual([]);
  });
});

describe('the waterfall', () => {
  const span = (id: string, parent: string | null, at: number): Span => ({ span_id: id, parent_id: parent, name: id, kind: 'server', workload: 'w', namespace: 'n', start: new Date(at).toISOString(), duration_ms: 1, status: id === 'b' ? 'error' : 'ok' });

  it('is a tree in order of time', () => {
    const bars = waterfall([span('c', 'a', 30), span('a', null, 10), span('b', 'a', 20), span('d', 'b', 25), span('lost', 'gone', 5)]);
    expect(bars.map((b) => [b.span.span_id, b.depth, b.offset])).toEqual([['lost', 0, 0], ['a', 0, 5], ['b', 1, 15], ['d', 2, 20], ['c', 1, 25]]);
    expect(bars.find((b) => b.failed)!.span.span_id).toBe('b');
  });

  it('ends in a circle', () => expect(waterfall([span('a', 'b', 1), span('b', 'a', 2)])).toHaveLength(2));
  it('bears nothing', () => expect(waterfall([])).toEqual([]));
});
