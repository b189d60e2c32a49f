import type { Span } from '../api';

export interface Bar {
  span: Span;
  depth: number;
  /** Milliseconds after the trace began. */
  offset: number;
  failed: boolean;
}

/** Spans as a tree in order of time. Whose parent is not there (it was not kept, or not sent) stands at the root. Circles end. */
export function waterfall(spans: readonly Span[]): Bar[] {
  const byId = new Map(spans.map((s) => [s.span_id, s]));
  const children = new Map<string, Span[]>();
  const roots: Span[] = [];
  for (const span of byId.values()) {
    const parent = span.parent_id ? byId.get(span.parent_id) : undefined;
    if (parent && parent !== span) children.set(parent.span_id, [...(children.get(parent.span_id) ?? []), span]);
    else roots.push(span);
  }
  const start = (s: Span) => Date.parse(s.start);
  const began = Math.min(...[...byId.values()].map(start));
  const order = (a: Span, b: Span) => start(a) - start(b) || (a.span_id < b.span_id ? -1 : 1);
  const bars: Bar[] = [];
  const done = new Set<string>();
  const walk = (first: Span) => {
    const stack = [{ span: first, depth: 0 }];
    while (stack.length > 0) {
      const { span, depth } = stack.pop()!;
      if (done.has(span.span_id)) continue;
      done.add(span.span_id);
      bars.push({ span, depth, offset: start(span) - began, failed: /^(error|2)$/i.test(String(span.status ?? '')) });
      for (const child of (children.get(span.span_id) ?? []).sort(order).reverse()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  for (const root of roots.sort(order)) walk(root);
  for (const span of [...byId.values()].sort(order)) if (!done.has(span.span_id)) walk(span);
  return bars;
}
