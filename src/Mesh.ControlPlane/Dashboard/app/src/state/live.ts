import { type Signal, batch, effect, signal } from '@preact/signals';
import { follow } from '../lib/sse';
import { get, loadInfo, noteRefusal, url } from './net';
import { headers, refused, token } from './session';
import { type Range, timeQuery } from '../lib/route';
import { range } from './where';
import type { Change, Fault, Overview } from '../api';

// What the open screen needs, kept up to date by one stream. What was shown stays until something newer comes.

export interface Doc<T = unknown> {
  data: T | null;
  error: string | null;
  /** The time range that it answers. */
  asked: string;
  at: number;
}

const MAX_KEPT = 24;
const docs = new Map<string, Signal<Doc>>();

/** How many want a topic. */
const wanted = signal<Record<string, number>>({});

/** Since when nothing is heard; null while connected. */
export const lostSince = signal<number | null>(null);
export const lostWhy = signal('');
export const connected = signal(false);

/** Counted up whenever the connection is there again: what is asked for by hand is asked anew. */
export const revival = signal(0);

/** A clock for texts like "12 s ago". */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);

export function topic<T>(name: string): Signal<Doc<T>> {
  let found = docs.get(name);
  if (!found) {
    if (docs.size >= MAX_KEPT) for (const key of docs.keys()) if (!wanted.peek()[key]) { docs.delete(key); break; }
    found = signal<Doc>({ data: null, error: null, asked: '', at: 0 });
    docs.set(name, found);
  }
  return found as never;
}

export function want(names: string[]): () => void {
  change(names, 1);
  return () => change(names, -1);
}

function change(names: string[], by: number) {
  const next = { ...wanted.peek() };
  for (const name of names) {
    const n = (next[name] ?? 0) + by;
    if (n > 0) next[name] = n;
    else delete next[name];
  }
  wanted.value = next;
}

const PATHS: Record<string, string> = { overview: 'overview', topology: 'topology', changes: 'changes', faults: 'faults', clients: 'clients' };
const pathOf = (name: string) => (name.startsWith('service:') ? 'services/' + name.slice(8).split('/').map(encodeURIComponent).join('/') : PATHS[name]!);

/** Lists come bare or in an envelope. */
export const items = <T>(data: unknown): T[] => (Array.isArray(data) ? (data as T[]) : ((data as { items?: T[] } | null)?.items ?? []));

function put(name: string, data: unknown, asked: string) {
  batch(() => {
    topic(name).value = { data, error: null, asked, at: Date.now() };
    // An overview brings these along.
    if (name === 'overview') {
      const overview = data as Overview;
      topic<Change[]>('changes').value = { data: overview.changes ?? [], error: null, asked, at: Date.now() };
      topic<Fault[]>('faults').value = { data: overview.faults ?? [], error: null, asked, at: Date.now() };
    }
  });
}

function fail(name: string, error: unknown) {
  const doc = topic(name);
  doc.value = { ...doc.value, error: error instanceof Error ? error.message : String(error) };
}

function up() {
  batch(() => {
    connected.value = true;
    if (lostSince.value !== null) {
      lostSince.value = null;
      revival.value++;
    }
  });
  if (refused.peek() !== null) refused.value = null;
  void loadInfo();
}

let opening: ReturnType<typeof setTimeout> | undefined;
let current: AbortController | null = null;
let open = '';

effect(() => {
  const names = Object.keys(wanted.value).sort();
  const key = JSON.stringify([names, timeQuery(range.value), token.value, refused.value !== null]);
  clearTimeout(opening);
  // One screen leaves and the next comes: that is one change.
  opening = setTimeout(() => {
    if (key === open) return;
    open = key;
    current?.abort();
    current = new AbortController();
    if (names.length > 0) void start(names, current.signal);
  }, 20);
});

export const askedOf = (r: Range) => (r.live ? String(r.seconds) : `${r.from}-${r.to}`);

/** Paused: what was seen in that moment is what is looked at, with all that only the moment knew. */
export function holds(doc: Doc, r: Range): boolean {
  if (r.live || doc.data === null) return false;
  return doc.asked === askedOf(r) || (doc.asked === String(Math.round((r.to - r.from) / 1000)) && Math.abs(doc.at - r.to) < 5_000);
}

async function start(names: string[], end: AbortSignal): Promise<void> {
  const shown = range.peek();
  const query = timeQuery(shown);
  const asked = askedOf(shown);
  const live = shown.live;
  await Promise.all(
    names.map(async (name) => {
      if (!live && holds(topic(name).peek(), shown)) return;
      try {
        const data = await get(pathOf(name), name === 'faults' || name === 'clients' ? {} : query, end);
        if (!end.aborted) put(name, data, asked);
      } catch (error) {
        if (!end.aborted) fail(name, error);
      }
    }),
  );
  if (end.aborted || refused.peek() !== null) return;
  if (!live) {
    void loadInfo();
    return;
  }
  await follow(url('stream', { topics: names.join(','), ...query }), end, {
    headers,
    onUp: up,
    onDown: (why, status) => {
      noteRefusal(status);
      batch(() => {
        connected.value = false;
        lostWhy.value = why.message;
        if (lostSince.value === null) lostSince.value = Date.now();
      });
    },
    onEvent: (event) => {
      let data: unknown;
      try {
        data = JSON.parse(event.data);
      } catch {
        return;
      }
      const name = names.includes(event.event) ? event.event : event.event === 'service' ? `service:${(data as { namespace: string }).namespace}/${(data as { name: string }).name}` : null;
      if (name && names.includes(name)) put(name, data, asked);
      else if (event.event === 'error' || event.event === 'notice') lostWhy.value = String((data as { text?: unknown }).text ?? '');
    },
    final: (status) => status === 401 || status === 403,
  });
}
