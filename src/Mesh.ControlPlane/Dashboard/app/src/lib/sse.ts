// Server-Sent Events over fetch: EventSource can't send an Authorization header.

export interface StreamEvent {
  event: string;
  data: string;
}

/** One event may be this long; what is longer is no document of ours. */
const MAX_BUFFER = 16 * 1024 * 1024;

/** Cuts text into events, whatever the pieces that it comes in. */
export class SseParser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private size = 0;

  push(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const all = this.rest + text;
    if (all.length > MAX_BUFFER) throw new Error('An event is longer than 16 MB.');
    let start = 0;
    // What is left over holds no end of a line but at its very end: it is not looked through again.
    let look = Math.max(0, this.rest.length - 1);
    for (;;) {
      const end = lineEnd(all, look);
      if (end < 0) break;
      // A CR at the very end may be half of a CRLF.
      if (all[end] === '\r' && end === all.length - 1) break;
      this.line(all.slice(start, end), events);
      start = look = end + (all[end] === '\r' && all[end + 1] === '\n' ? 2 : 1);
    }
    this.rest = all.slice(start);
    return events;
  }

  private line(line: string, events: StreamEvent[]): void {
    if (line === '') {
      if (this.data.length > 0) events.push({ event: this.event || 'message', data: this.data.join('\n') });
      this.event = '';
      this.data = [];
      this.size = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.event = value;
    if (field === 'data') {
      this.size += value.length;
      if (this.size > MAX_BUFFER) throw new Error('An event is longer than 16 MB.');
      this.data.push(value);
    }
  }
}

function lineEnd(text: string, start: number): number {
  for (let i = start; i < text.length; i++) if (text[i] === '\n' || text[i] === '\r') return i;
  return -1;
}

export interface StreamOptions {
  headers: () => Record<string, string>;
  onEvent: (event: StreamEvent) => void;
  /** Called when bytes come, and with the reason when they no longer do. */
  onUp: () => void;
  onDown: (why: Error, status: number) => void;
  /** Statuses after which asking again is in vain. */
  final?: (status: number) => boolean;
  fetch?: typeof fetch;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
  /** Ends a stream that is silent for so long; the server says something every 15 s. */
  silenceMs?: number;
}

export class StreamRefused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** How long to wait before try n (from 0): 0.5 s doubled up to 8 s, with up to a quarter less so that many pages don't come at once. */
export const backOff = (n: number, random: number): number => Math.min(8000, 500 * 2 ** n) * (1 - random / 4);

/** Reads a stream, again and again until the signal ends it. */
export async function follow(url: string, signal: AbortSignal, options: StreamOptions): Promise<void> {
  const wait = options.wait ?? sleep;
  for (let tries = 0; !signal.aborted; tries++) {
    let heard = false;
    let status = 0;
    try {
      await readOnce(url, signal, options, () => {
        if (!heard) options.onUp();
        heard = true;
      });
      if (signal.aborted) return;
      throw new Error('The control plane ended the stream.');
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof StreamRefused) status = error.status;
      options.onDown(error instanceof Error ? error : new Error(String(error)), status);
      if (status && options.final?.(status)) return;
    }
    if (heard) tries = 0;
    await wait(backOff(tries, (options.random ?? Math.random)()), signal);
  }
}

async function readOnce(url: string, outer: AbortSignal, options: StreamOptions, heard: () => void): Promise<void> {
  const inner = new AbortController();
  const end = () => inner.abort();
  outer.addEventListener('abort', end, { once: true });
  let silence: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(end, options.silenceMs ?? 45_000);
  };
  try {
    alive();
    const response = await (options.fetch ?? fetch)(url, { headers: { ...options.headers(), Accept: 'text/event-stream' }, signal: inner.signal, cache: 'no-store' });
    if (!response.ok || !response.body) throw new StreamRefused(response.status, await reason(response));
    heard();
    const parser = new SseParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) options.onEvent(event);
    }
  } finally {
    clearTimeout(silence);
    outer.removeEventListener('abort', end);
    inner.abort();
  }
}

/** The detail of problem+json, which says how to mend it. */
export async function reason(response: Response): Promise<string> {
  try {
    const problem = (await response.clone().json()) as { detail?: unknown; title?: unknown };
    const text = problem.detail ?? problem.title;
    if (typeof text === 'string' && text) return text;
  } catch {
    // Not JSON: the status has to do.
  }
  return `The control plane answered ${response.status}.`;
}

export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
