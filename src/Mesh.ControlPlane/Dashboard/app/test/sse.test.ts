import { describe, expect, it } from 'vitest';
import { SseParser, backOff, follow } from '../src/lib/sse';

const parse = (...pieces: string[]) => {
  const parser = new SseParser();
  return pieces.flatMap((p) => parser.push(p));
};

describe('the parser', () => {
  it('reads events', () => expect(parse('event: overview\ndata: {"a":1}\n\n: comment\n\ndata: x\n\n')).toEqual([{ event: 'overview', data: '{"a":1}' }, { event: 'message', data: 'x' }]));

  it('bears any cut and any end of line', () => {
    const text = 'event: a\r\ndata: 1\r\ndata: 2\r\n\r\nevent: b\ndata: 3\n\ndata:4\r\rdata\n\n';
    const whole = parse(text);
    expect(whole).toEqual([{ event: 'a', data: '1\n2' }, { event: 'b', data: '3' }, { event: 'message', data: '4' }, { event: 'message', data: '' }]);
    for (let size = 1; size < 7; size++) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, i * size + size));
      expect(parse(...pieces)).toEqual(whole);
    }
  });

  it('gives nothing of what is not ended', () => expect(parse('event: a\ndata: 1\n')).toEqual([]));

  it('does not grow without end', () => {
    const parser = new SseParser();
    const piece = 'x'.repeat(1024 * 1024);
    expect(() => {
      for (let i = 0; i < 40; i++) parser.push(piece);
    }).toThrow(/16 MB/);
  });
});

describe('following a stream', () => {
  const body = (text: string) => new Response(new ReadableStream({ start: (c) => { c.enqueue(new TextEncoder().encode(text)); c.close(); } }));

  it('comes back with longer and longer waits, and at once short again when it was heard', async () => {
    const end = new AbortController();
    const waits: number[] = [];
    const events: string[] = [];
    const down: string[] = [];
    const answers = [() => Promise.reject(new TypeError('refused')), () => Promise.reject(new TypeError('refused')), () => Promise.resolve(body('data: 1\n\n')), () => Promise.resolve(body('data: 2\n\n'))];
    await follow('s', end.signal, {
      headers: () => ({ Authorization: 'Bearer x' }),
      onEvent: (e) => events.push(e.data),
      onUp: () => events.push('up'),
      onDown: (why) => down.push(why.message),
      fetch: (() => (answers.shift() ?? (() => (end.abort(), Promise.reject(new Error('over')))))()) as never,
      wait: (ms) => (waits.push(ms), Promise.resolve()),
      random: () => 0,
    });
    expect(events).toEqual(['up', '1', 'up', '2']);
    expect(waits).toEqual([500, 1000, 500, 500]);
    expect(down).toHaveLength(4);
  });

  it('stops where asking again is in vain, with what the server said', async () => {
    const told: [string, number][] = [];
    await follow('s', new AbortController().signal, {
      headers: () => ({}),
      onEvent: () => {},
      onUp: () => {},
      onDown: (why, status) => told.push([why.message, status]),
      fetch: (() => Promise.resolve(new Response(JSON.stringify({ detail: 'Send a token.' }), { status: 401 }))) as never,
      final: (status) => status === 401,
    });
    expect(told).toEqual([['Send a token.', 401]]);
  });

  it('waits at most 8 s', () => {
    expect(backOff(20, 0)).toBe(8000);
    expect(backOff(0, 1)).toBe(375);
  });
});
