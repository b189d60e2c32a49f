import { computed, signal } from '@preact/signals';
import { type Range, type Route, format, parse, rangeOf, rangeQuery, secondsOf } from '../lib/route';
import { token } from './session';

// The token is taken out of the address first.
void token;

export const where = signal<Route>(parse(location.hash));
addEventListener('hashchange', () => (where.value = parse(location.hash)));

export const range = computed<Range>(() => rangeOf(where.value.query));

export const windowSeconds = computed<number>(() => secondsOf(range.value));

const RANGE = ['window', 'from', 'to'];

/** An address that keeps the time range. */
export function link(screen: string, parts: string[] = [], query: Record<string, string> = {}): string {
  return format({ screen, parts, query: { ...query, ...rangeQuery(range.value) } });
}

export function go(hash: string): void {
  location.hash = hash;
}

export function setRange(next: Range): void {
  const rest = Object.fromEntries(Object.entries(where.value.query).filter(([k]) => !RANGE.includes(k)));
  go(format({ ...where.value, query: { ...rest, ...rangeQuery(next) } }));
}

/** Replaces a part of the query, without a new step in the history. */
export function setQuery(change: Record<string, string>): void {
  const next = format({ ...where.value, query: { ...where.value.query, ...change } });
  if (next !== location.hash) {
    history.replaceState(null, '', next);
    where.value = parse(next);
  }
}

export function togglePause(now: number): void {
  const r = range.value;
  if (r.live) setRange({ live: false, from: now - r.seconds * 1000, to: now });
  else {
    const seconds = Math.round((r.to - r.from) / 1000);
    setRange(rangeOf({ window: String(seconds) }));
  }
}
