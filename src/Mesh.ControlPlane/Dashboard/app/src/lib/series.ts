import type { Envelope, Series } from '../api';

export interface Lines {
  times: number[];
  rps: (number | null)[];
  failures: (number | null)[];
  success: (number | null)[];
  retries: (number | null)[];
  p50: (number | null)[];
  p95: (number | null)[];
  p99: (number | null)[];
}

/** A page holds no more of a chart than can be told apart. */
export const MAX_POINTS = 1500;

export const NO_LINES: Lines = { times: [], rps: [], failures: [], success: [], retries: [], p50: [], p95: [], p99: [] };

/** Where values are that have none beside them: a line between two points never reaches these. */
export function lone(values: ArrayLike<number | null | undefined>): number[] {
  const known = (i: number) => Number.isFinite(values[i] ?? NaN);
  return Array.from(values, (_, i) => i).filter((i) => known(i) && !known(i - 1) && !known(i + 1));
}

/** What one item of /golden/series draws. A step without calls has a rate of 0 and no success or latency; one that is not over has no rate: it would look like a drop. */
export function lines(answer: Envelope<Series> | null | undefined, pick: (s: Series) => boolean = () => true): Lines {
  const item = answer?.items.find(pick);
  if (!answer || !item) return NO_LINES;
  const skip = Math.max(0, item.requests.length - MAX_POINTS);
  const t0 = Date.parse(item.t0) / 1000 + skip * answer.step_s;
  const cut = (all: (number | null)[] | undefined) => (all ?? []).slice(skip);
  const [requests, failures] = [cut(item.requests), cut(item.failures)];
  const whole = Math.floor((Date.parse(answer.to) / 1000 - t0) / answer.step_s);
  const per = (n: number | null | undefined, i: number) => (n === null || n === undefined || i >= whole ? null : n / answer.step_s);
  return {
    times: requests.map((_, i) => t0 + i * answer.step_s),
    rps: requests.map(per),
    failures: failures.map(per),
    success: requests.map((n, i) => (n ? 1 - (failures[i] ?? 0) / n : null)),
    retries: cut(item.retries).map(per),
    p50: cut(item.p50_ms),
    p95: cut(item.p95_ms),
    p99: cut(item.p99_ms),
  };
}
