import { StreamRefused, reason } from '../lib/sse';
import { headers, info, mount, refused, token } from './session';
import type { Info } from '../api';

/** Relative: wherever the page is mounted, its API lies beside it. */
export const url = (path: string, query: Record<string, string | number | boolean | null | undefined> = {}): string => {
  const parts = Object.entries(query).filter(([, v]) => v !== null && v !== undefined && v !== '' && v !== false);
  const text = new URLSearchParams(parts.map(([k, v]) => [k, String(v)])).toString();
  return `api/v1/${path}${text ? '?' + text : ''}`;
};

export async function get<T>(path: string, query: Record<string, string | number | boolean | null | undefined>, signal: AbortSignal): Promise<T> {
  const response = await fetch(url(path, query), { headers: headers(), signal, cache: 'no-store' });
  noteRefusal(response.status);
  if (!response.ok) throw new StreamRefused(response.status, await reason(response));
  return (await response.json()) as T;
}

export async function send(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
  const response = await fetch(url(path), {
    method,
    // The last one can't be set by a form or a page of a stranger without being asked first.
    headers: { ...headers(), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), 'X-Mesh-Dashboard': '1' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  noteRefusal(response.status);
  if (!response.ok) throw new StreamRefused(response.status, await reason(response));
}

export function noteRefusal(status: number): void {
  if (status === 401) refused.value = token.value ? 'The token is not accepted.' : '';
}

let asking: AbortController | null = null;

export async function loadInfo(): Promise<void> {
  asking?.abort();
  const mine = (asking = new AbortController());
  try {
    const response = await fetch(url('info'), { headers: headers(), signal: mine.signal, cache: 'no-store' });
    noteRefusal(response.status);
    if (!response.ok) return;
    const found = (await response.json()) as Info;
    mount.value = response.headers.get('X-Mesh-Dashboard');
    info.value = found;
  } catch {
    // The stream says that nobody answers, and when somebody does this is asked again.
  }
}
