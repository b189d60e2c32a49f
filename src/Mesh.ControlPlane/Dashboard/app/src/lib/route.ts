// Where one is: #/service/shop/cart?window=300. Whoever has the address sees the same.

export interface Route {
  screen: string;
  parts: string[];
  query: Record<string, string>;
}

export function parse(hash: string): Route {
  const text = hash.startsWith('#') ? hash.slice(1) : hash;
  const mark = text.indexOf('?');
  const path = mark < 0 ? text : text.slice(0, mark);
  const [screen = '', ...parts] = path.split('/').filter(Boolean).map(decode);
  const query: Record<string, string> = {};
  if (mark >= 0) for (const [name, value] of new URLSearchParams(text.slice(mark + 1))) query[name] = value;
  return { screen: screen || 'now', parts, query };
}

export function format(route: Route): string {
  const path = [route.screen, ...route.parts].map(encodeURIComponent).join('/');
  const query = new URLSearchParams(Object.entries(route.query).filter(([, value]) => value !== '')).toString();
  return `#/${path}${query ? '?' + query : ''}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const WINDOWS: readonly { seconds: number; label: string; name: string }[] = [
  { seconds: 60, label: '1m', name: 'last minute' },
  { seconds: 300, label: '5m', name: 'last 5 minutes' },
  { seconds: 900, label: '15m', name: 'last 15 minutes' },
  { seconds: 3600, label: '1h', name: 'last hour' },
  { seconds: 21_600, label: '6h', name: 'last 6 hours' },
  { seconds: 86_400, label: '24h', name: 'last 24 hours' },
  { seconds: 604_800, label: '7d', name: 'last 7 days' },
];

/** Live: the last so many seconds. Else a fixed time. */
export type Range = { live: true; seconds: number } | { live: false; from: number; to: number };

export function rangeOf(query: Record<string, string>): Range {
  const from = Date.parse(query.from ?? '');
  const to = Date.parse(query.to ?? '');
  if (Number.isFinite(from) && Number.isFinite(to) && to > from) return { live: false, from, to };
  const seconds = Number(query.window);
  return { live: true, seconds: WINDOWS.some((w) => w.seconds === seconds) ? seconds : 60 };
}

export function rangeQuery(range: Range): Record<string, string> {
  if (!range.live) return { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
  return range.seconds === 60 ? {} : { window: String(range.seconds) };
}

export const secondsOf = (range: Range): number => (range.live ? range.seconds : Math.max(1, Math.round((range.to - range.from) / 1000)));

/** The time range as the documents of the API take it. */
export function timeQuery(range: Range): Record<string, string | number> {
  return range.live ? { window: range.seconds } : { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A time as people type it: now, -90m, 14:05, 2026-01-31 14:05, 2026-01-31T14:05:00Z. Without a zone it is the clock on the wall. Null: it is none. */
export function typed(text: string, now: number): number | null {
  const word = text.trim();
  if (word === 'now') return now;
  const back = /^-(\d+(?:\.\d+)?)(s|m|h|d)?$/.exec(word);
  if (back) return now - Number(back[1]) * (UNITS[back[2] ?? 's'] ?? 1) * 1000;
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(word);
  if (clock) {
    const [h, m, s] = [Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0)];
    if (h > 23 || m > 59 || s > 59) return null;
    const at = new Date(now);
    at.setHours(h, m, s, 0);
    // The last time that it was so late.
    if (at.getTime() > now) at.setDate(at.getDate() - 1);
    return at.getTime();
  }
  if (!/^\d{4}-\d{2}-\d{2}/.test(word)) return null;
  const at = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(word) ? `${word}T00:00` : word.replace(' ', 'T'));
  return Number.isFinite(at) ? at : null;
}

/** A range out of two ends as they were typed, or what is wrong with them. */
export function typedRange(from: string, to: string, now: number): Range | string {
  const ends = [typed(from, now), typed(to || 'now', now)] as const;
  if (ends[0] === null) return `“${from}” is no time: give 14:05, 2026-01-31 14:05 or -90m.`;
  if (ends[1] === null) return `“${to}” is no time: give 14:05, 2026-01-31 14:05, -30m or now.`;
  const until = Math.min(ends[1], now);
  if (ends[0] >= until) return 'It ends before it begins.';
  if (now - ends[0] > 366 * 86_400_000) return 'Nothing is kept for longer than a year.';
  return { live: false, from: ends[0], to: until };
}

/** A time as `typed` reads it back. */
export function shown(at: number): string {
  const d = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** What a time is to the API: so long back, or two ends, never both. */
export function spanQuery(range: Range, span: { from: number; to: number }): Record<string, string | number> {
  return range.live ? { window: Math.round((span.to - span.from) / 1000) } : { from: new Date(span.from).toISOString(), to: new Date(span.to).toISOString() };
}

/** Charts reach further back than the numbers beside them: what came before is half of the answer. */
export function chartRange(range: Range, now: number): { from: number; to: number } {
  const span = Math.max(secondsOf(range), 900) * 1000;
  const to = range.live ? now : range.to;
  return { from: to - span, to };
}

/** 10 s for as long as it is kept and readable, then ever coarser: at most some 360 points. */
export function stepFor(spanSeconds: number): number {
  for (const step of [10, 30, 60, 300, 600, 1800]) if (spanSeconds / step <= 360) return step;
  return 3600;
}
