import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from './net';
import { revival, topic, want, type Doc } from './live';
import { refused, token } from './session';

/** A document that the stream keeps up to date. */
export function useTopic<T>(name: string): Doc<T> {
  useEffect(() => want([name]), [name]);
  return topic<T>(name).value;
}

export interface Asked<T> {
  data: T | null;
  error: string | null;
  loading: boolean;
  again: () => void;
}

/** A document that is asked for by hand: at once, every so many seconds while the page is seen, and when the connection is back. */
export function useAsk<T>(path: string | null, query: Record<string, string | number | boolean | null | undefined>, everySeconds: number): Asked<T> {
  const key = path === null ? '' : JSON.stringify([path, query]);
  const [state, set] = useState<{ key: string; data: T | null; error: string | null; loading: boolean }>({ key: '', data: null, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  const query0 = useRef(query);
  query0.current = query;
  const revived = revival.value;
  const who = token.value;
  useEffect(() => {
    if (path === null) return;
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = async () => {
      if (!document.hidden || turn === 0) {
        try {
          const data = await get<T>(path, query0.current, end.signal);
          if (end.signal.aborted) return;
          set({ key, data, error: null, loading: false });
        } catch (error) {
          if (end.signal.aborted) return;
          set((old) => ({ key, data: old.key === key ? old.data : null, error: error instanceof Error ? error.message : String(error), loading: false }));
        }
      }
      if (everySeconds > 0 && refused.peek() === null) timer = setTimeout(load, everySeconds * 1000);
    };
    void load();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [key, everySeconds, turn, revived, who]);
  return { data: state.data, error: state.error, loading: state.loading || (path !== null && state.key !== key), again: () => setTurn((n) => n + 1) };
}
