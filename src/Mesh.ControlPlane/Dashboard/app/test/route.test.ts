import { describe, expect, it } from 'vitest';
import { chartRange, format, parse, rangeOf, rangeQuery, shown, spanQuery, stepFor, timeQuery, typed, typedRange } from '../src/lib/route';

describe('addresses', () => {
  it('say screen, names and time', () => {
    const route = parse('#/service/shop/cart?window=300');
    expect(route).toEqual({ screen: 'service', parts: ['shop', 'cart'], query: { window: '300' } });
    expect(format(route)).toBe('#/service/shop/cart?window=300');
  });

  it('bear whatever name', () => {
    const route = { screen: 'service', parts: ['a/b', '<img src=x>'], query: { find: '&=#?' } };
    expect(parse(format(route))).toEqual(route);
    expect(parse('#/service/%E0%A4%A').parts).toEqual(['%E0%A4%A']);
    expect(parse('').screen).toBe('now');
    expect(parse('#garbage').screen).toBe('garbage');
  });

  it('hold a time range', () => {
    expect(rangeOf({ window: '300' })).toEqual({ live: true, seconds: 300 });
    expect(rangeOf({ window: '7' })).toEqual({ live: true, seconds: 60 });
    const held = rangeOf({ from: '2026-01-01T10:00:00Z', to: '2026-01-01T10:05:00Z' });
    expect(held).toEqual({ live: false, from: Date.UTC(2026, 0, 1, 10), to: Date.UTC(2026, 0, 1, 10, 5) });
    expect(rangeOf(rangeQuery(held))).toEqual(held);
    expect(rangeOf({ from: '2026-01-01T10:05:00Z', to: '2026-01-01T10:00:00Z' }).live).toBe(true);
    expect(rangeQuery({ live: true, seconds: 60 })).toEqual({});
  });

  it('ask the API for a window or two ends, never both', () => {
    const chart = chartRange({ live: true, seconds: 60 }, 10_000_000);
    expect(spanQuery({ live: true, seconds: 60 }, chart)).toEqual({ window: 900 });
    expect(Object.keys(spanQuery({ live: false, from: 0, to: 1000 }, chart))).toEqual(['from', 'to']);
  });

  it('choose a step that a chart can show', () => {
    expect(stepFor(900)).toBe(10);
    expect(stepFor(21_600)).toBe(60);
    expect(stepFor(604_800) * 400).toBeGreaterThan(604_800);
  });

  it('ask every document for the time that is chosen', () => {
    expect(timeQuery({ live: true, seconds: 300 })).toEqual({ window: 300 });
    expect(timeQuery({ live: false, from: Date.UTC(2026, 0, 1, 10), to: Date.UTC(2026, 0, 1, 11) })).toEqual({ from: '2026-01-01T10:00:00.000Z', to: '2026-01-01T11:00:00.000Z' });
  });

  it('read times as people type them', () => {
    const now = new Date(2026, 0, 31, 14, 30).getTime();
    expect(typed('now', now)).toBe(now);
    expect(typed('-90m', now)).toBe(now - 5_400_000);
    expect(typed('-2d', now)).toBe(now - 172_800_000);
    expect(typed('14:05', now)).toBe(new Date(2026, 0, 31, 14, 5).getTime());
    expect(typed('23:00', now)).toBe(new Date(2026, 0, 30, 23, 0).getTime());
    expect(typed('2026-01-30 08:00', now)).toBe(new Date(2026, 0, 30, 8, 0).getTime());
    expect(typed('2026-01-30T08:00:00Z', now)).toBe(Date.UTC(2026, 0, 30, 8));
    for (const wrong of ['', 'soon', '25:00', '90m', '<b>', '2026-13-40']) expect(typed(wrong, now)).toBeNull();
    expect(typed(shown(now), now)).toBe(now);
  });

  it('take two ends, in order, not past now', () => {
    const now = new Date(2026, 0, 31, 14, 30).getTime();
    expect(typedRange('-1h', '-30m', now)).toEqual({ live: false, from: now - 3_600_000, to: now - 1_800_000 });
    expect(typedRange('-1h', '2027-01-01', now)).toEqual({ live: false, from: now - 3_600_000, to: now });
    expect(typedRange('-30m', '-1h', now)).toContain('ends before');
    expect(typedRange('yesterday', '', now)).toContain('“yesterday”');
    expect(typedRange('-400d', 'now', now)).toContain('year');
  });
});
