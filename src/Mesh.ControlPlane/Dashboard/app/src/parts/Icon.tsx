import type { JSX } from 'preact';
import type { Level } from '../api';
import { LABELS } from '../lib/levels';

const PATHS: Record<string, string> = {
  now: 'M3 13h4l2-7 4 13 3-9 1.5 3H21',
  topology: 'M5 5h5v5H5zM14 14h5v5h-5zM14 5h5v5h-5zM10 7.5h4M16.5 10v4M10 9.5l4.5 4.5',
  tap: 'M4 6h16M4 12h10M4 18h13',
  top: 'M5 20V11M10 20V4M15 20v-7M20 20V8',
  security: 'M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4',
  'control-plane': 'M4 5h16v5H4zM4 14h16v5H4zM7.5 7.5h.01M7.5 16.5h.01',
  traces: 'M4 5h9M7 10h8M9 15h11M15 20h5',
  search: 'M10.5 4a6.5 6.5 0 110 13 6.5 6.5 0 010-13zM15.5 15.5L20 20',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 5l12 7-12 7z',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 016 0v3',
  open: 'M6 11h12v9H6zM9 11V8a3 3 0 015.7-1.3',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  close: 'M6 6l12 12M18 6L6 18',
  sun: 'M12 8a4 4 0 110 8 4 4 0 010-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M5 19l1.5-1.5M17.5 6.5L19 5',
  moon: 'M20 14.5A8 8 0 119.5 4a6.5 6.5 0 0010.500 10.500z',
  auto: 'M12 3a9 9 0 110 18 9 9 0 010-18zM12 3v18',
  help: 'M9 9a3 3 0 115 2.200c-1.300 1-2 1.500-2 3M12 18h.01',
  table: 'M4 5h16v14H4zM4 10h16M4 14.500h16M10 5v14',
  chart: 'M4 19V5M4 19h16M7 15l4-5 3 3 5-7',
  bolt: 'M13 3L5 14h6l-1 7 8-11h-6z',
  retry: 'M19 8a8 8 0 10.800 6M19 3v5h-5',
  eject: 'M12 5l7 9H5zM5 18h14',
  arrow: 'M5 12h14M13 6l6 6-6 6',
  key: 'M15 9a4 4 0 11-4.500 4L4 19.500V21h3v-2h2v-2h2l1.500-1.500',
};

export function Icon({ name, size = 16 }: { name: string; size?: number }): JSX.Element {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name] ?? ''} />
    </svg>
  );
}

/** Each level has a shape of its own: who sees no colours sees these. */
export function LevelShape({ level, size = 12 }: { level: Level; size?: number }): JSX.Element {
  return (
    <svg class={`shape ${level}`} width={size} height={size} viewBox="0 0 12 12" aria-hidden="true">
      <LevelGlyph level={level} />
    </svg>
  );
}

export function LevelGlyph({ level }: { level: Level }): JSX.Element {
  if (level === 'failing') return <path d="M3.600.600h4.800L11.400 3.600v4.800L8.400 11.400H3.600L.600 8.400V3.600zM3.900 3.900l4.200 4.200M8.100 3.900L3.900 8.100" />;
  if (level === 'degraded') return <path d="M6 .9L11.500 11H.5zM6 4.500v3.200M6 9.200v.1" />;
  if (level === 'ok') return <path d="M6 .8a5.200 5.200 0 110 10.400A5.200 5.200 0 016 .8zM3.600 6.200l1.700 1.700 3.100-3.600" />;
  return <path d="M6 1.300a4.700 4.700 0 110 9.400 4.700 4.700 0 010-9.400z" />;
}

export function LevelBadge({ level, quiet = false }: { level: Level; quiet?: boolean }): JSX.Element {
  return (
    <span class={`level ${level}${quiet ? ' quiet' : ''}`}>
      <LevelShape level={level} />
      <span>{LABELS[level]}</span>
    </span>
  );
}
