import type { Golden, Level } from '../api';

export const LEVELS: readonly Level[] = ['failing', 'degraded', 'ok', 'idle'];

export const LABELS: Record<Level, string> = { failing: 'Failing', degraded: 'Degraded', ok: 'OK', idle: 'Idle' };

/** A level that a later version may add is shown as degraded: noticed, not hidden. */
export function known(level: string | null | undefined): Level {
  return LEVELS.includes(level as Level) ? (level as Level) : 'degraded';
}

export const severity = (level: Level): number => LEVELS.length - 1 - LEVELS.indexOf(level);

export function worst(levels: Iterable<Level>): Level {
  let found: Level = 'idle';
  for (const level of levels) if (severity(level) > severity(found)) found = level;
  return found;
}

/** Of calls alone, as docs/api.md says it: for rows that bring no level of their own. */
export function ofCalls(golden: Golden | null | undefined): Level {
  if (!golden || golden.requests <= 0) return 'idle';
  const failed = golden.failures / golden.requests;
  if (failed >= 0.1 && golden.requests >= 10) return 'failing';
  return failed >= 0.01 ? 'degraded' : 'ok';
}

export const isBad = (level: Level): boolean => level === 'failing' || level === 'degraded';
