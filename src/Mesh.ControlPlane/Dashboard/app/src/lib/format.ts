// Numbers as text. A space before a unit never breaks; what is not known is a dash, never a zero.

const SPACE = '\u00a0';
export const NOTHING = '–';

const known = (value: number | null | undefined): value is number => typeof value === 'number' && Number.isFinite(value);

/** Never rounds up to 100 %, nor down to 0 %: one failure in a million calls is still to be seen. */
export function percent(share: number | null | undefined, digits = 2): string {
  if (!known(share)) return NOTHING;
  const full = share * 100;
  const step = 10 ** -digits;
  if (full >= 100) return `100${SPACE}%`;
  if (full <= 0) return `0${SPACE}%`;
  if (full > 100 - step) return `${(100 - step).toFixed(digits)}${SPACE}%`;
  if (full < step) return `<${SPACE}${step.toFixed(digits)}${SPACE}%`;
  return `${full.toFixed(digits)}${SPACE}%`;
}

/** Calls per second. */
export function rate(value: number | null | undefined): string {
  if (!known(value)) return NOTHING;
  if (value === 0) return '0';
  if (value < 0.1) return '<' + SPACE + '0.1';
  if (value < 100) return value.toFixed(1);
  return count(Math.round(value));
}

export function count(value: number | null | undefined): string {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  if (size < 10_000) return String(Math.round(value));
  if (size < 999_500) return `${trim(value / 1e3)}${SPACE}k`;
  if (size < 999_500_000) return `${trim(value / 1e6)}${SPACE}M`;
  return `${trim(value / 1e9)}${SPACE}G`;
}

const trim = (value: number) => (Math.abs(value) < 100 ? value.toFixed(1) : value.toFixed(0));

export function millis(value: number | null | undefined): string {
  if (!known(value)) return NOTHING;
  if (value === 0) return `0${SPACE}ms`;
  if (value < 10) return `${value.toFixed(1)}${SPACE}ms`;
  if (value < 1000) return `${value.toFixed(0)}${SPACE}ms`;
  return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)}${SPACE}s`;
}

export function bytes(value: number | null | undefined): string {
  if (!known(value)) return NOTHING;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit === 0 ? size.toFixed(0) : trim(size)}${SPACE}${units[unit]}`;
}

/** A length of time in its two biggest units: 3 d 4 h, 12 m 5 s. */
export function duration(seconds: number | null | undefined): string {
  if (!known(seconds)) return NOTHING;
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 1 : 0)}${SPACE}s`;
  const whole = Math.round(seconds);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor((whole % 86_400) / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'm'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n}${SPACE}${unit}`)
    .join(' ');
}

const two = (n: number) => String(n).padStart(2, '0');

export function clock(at: string | number | Date | null | undefined, seconds = true): string {
  if (at === null || at === undefined || at === '') return NOTHING;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NOTHING;
  return `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? ':' + two(date.getSeconds()) : ''}`;
}

/** The time of today, else with its date. */
export function moment(at: string | number | Date | null | undefined, now: number): string {
  if (at === null || at === undefined || at === '') return NOTHING;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NOTHING;
  const today = new Date(now);
  if (date.toDateString() === today.toDateString()) return clock(date);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date, false)}`;
}

export function ago(at: string | number | Date | null | undefined, now: number): string {
  if (at === null || at === undefined || at === '') return NOTHING;
  const seconds = (now - new Date(at).getTime()) / 1000;
  if (!Number.isFinite(seconds)) return NOTHING;
  if (seconds < 2) return 'now';
  return `${duration(seconds)} ago`;
}

export function plural(n: number, one: string, many = one + 's'): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
