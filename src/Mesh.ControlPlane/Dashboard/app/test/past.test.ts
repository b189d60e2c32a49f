import { describe, expect, it, vi } from 'vitest';
import { command, timeOptions } from '../src/lib/cli';

// The state of the page asks the browser who and where one is; here there is none.
vi.stubGlobal('sessionStorage', { getItem: () => null, setItem: () => {}, removeItem: () => {} });
vi.stubGlobal('location', { hash: '' });
vi.stubGlobal('document', { hidden: true });
vi.stubGlobal('addEventListener', () => {});
const { askedOf, holds } = await import('../src/state/live');

describe('a fixed time', () => {
  const held = { live: false, from: 1_000_000, to: 1_060_000 } as const;

  it('holds what was seen live in that moment, and nothing else', () => {
    const seen = { data: {}, error: null, asked: askedOf({ live: true, seconds: 60 }), at: 1_059_000 };
    expect(holds(seen, held)).toBe(true);
    // Of another length, of another moment, nothing, or live.
    expect(holds({ ...seen, asked: '300' }, held)).toBe(false);
    expect(holds({ ...seen, at: 1_200_000 }, held)).toBe(false);
    expect(holds({ ...seen, data: null }, held)).toBe(false);
    expect(holds(seen, { live: true, seconds: 60 })).toBe(false);
    // What was asked for this time is not asked for again.
    expect(holds({ ...seen, asked: askedOf(held), at: 9_000_000 }, held)).toBe(true);
  });

  it('is what the CLI is told too', () => {
    expect(command('stat', [], { A: true, ...timeOptions({ live: false, from: Date.UTC(2026, 0, 1, 10), to: Date.UTC(2026, 0, 1, 11) }) })).toBe(
      'mesh stat -A --from 2026-01-01T10:00:00.000Z --to 2026-01-01T11:00:00.000Z',
    );
    expect(command('stat', [], timeOptions({ live: true, seconds: 604_800 }))).toBe('mesh stat -t 7d');
  });
});
