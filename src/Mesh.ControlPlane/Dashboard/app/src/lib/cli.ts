import type { Range } from './route';

/** Only what a shell takes as it is stays unquoted. */
export function quote(value: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}

export function command(verb: string, words: (string | null | undefined | false)[], options: Record<string, string | number | boolean | null | undefined | (string | undefined)[]> = {}): string {
  const parts = ['mesh', verb, ...words.filter((w): w is string => typeof w === 'string' && w !== '').map(quote)];
  const all = Object.entries(options).flatMap(([name, value]) => (Array.isArray(value) ? value.map((v) => [name, v] as const) : [[name, value] as const]));
  for (const [name, value] of all) {
    if (value === null || value === undefined || value === false || value === '') continue;
    const flag = name.length === 1 ? `-${name}` : `--${name}`;
    parts.push(value === true ? flag : `${flag} ${quote(String(value))}`);
  }
  return parts.join(' ');
}

/** The time range as the CLI says it. */
export function timeOptions(range: Range): Record<string, string> {
  if (!range.live) return { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
  const s = range.seconds;
  return { t: s % 86_400 === 0 ? `${s / 86_400}d` : s % 3600 === 0 ? `${s / 3600}h` : s % 60 === 0 ? `${s / 60}m` : `${s}s` };
}

/** Which traces, in the CLI's flags. Live, the newest are asked for, whenever they were. */
export function traceOptions(query: Record<string, string>, range: Range): Record<string, string | boolean | undefined | (string | undefined)[]> {
  const { service, source, destination, labels, min_ms, failed } = query;
  const { from, to } = range.live ? {} : (timeOptions(range) as { from?: string; to?: string });
  return { service, from: [source, from], to: [destination, to], l: labels, min: min_ms && `${min_ms}ms`, failed: failed === '1' };
}

/** What is asked of a tap, in the CLI's flags. */
export function tapOptions(query: Record<string, string>): Record<string, string | undefined> {
  const { namespace, source, destination, method, path, status, min_ms, max_rps, headers } = query;
  return { n: namespace, from: source, to: destination, method, path, status, min: min_ms && `${min_ms}ms`, 'max-rps': max_rps, headers };
}
