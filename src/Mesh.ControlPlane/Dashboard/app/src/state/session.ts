import { signal } from '@preact/signals';
import type { Info } from '../api';

const KEY = 'mesh-token';

/** In this tab only: gone with it, and never in an address. */
export const token = signal<string | null>(take());

/** The token did not suffice: the page asks for another. */
export const refused = signal<string | null>(null);

export const info = signal<Info | null>(null);

/** What is passed on where the page is mounted, whatever the token could: view, tap or change. Null: it is not mounted. */
export const mount = signal<string | null>(null);

export const mayChange = () => (mount.value === null || mount.value === 'change') && (info.value?.rights?.includes('change') ?? false);
export const mayTap = () => mount.value !== 'view' && (info.value?.rights?.includes('tap') ?? false);

function take(): string | null {
  const match = /^#(?:.*[?&])?token=([^&]+)/.exec(location.hash);
  if (match) {
    sessionStorage.setItem(KEY, decodeURIComponent(match[1]!));
    // Out of the address, the history and what may be copied, before anything is drawn.
    const rest = location.hash.replace(/([#?&])token=[^&]*&?/, '$1').replace(/[?&]$/, '');
    history.replaceState(null, '', rest.length > 1 ? rest : '#/now');
  }
  return sessionStorage.getItem(KEY);
}

export function setToken(value: string | null): void {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  token.value = value;
  refused.value = null;
}

export const headers = (): Record<string, string> => (token.value ? { Authorization: `Bearer ${token.value}` } : {});
