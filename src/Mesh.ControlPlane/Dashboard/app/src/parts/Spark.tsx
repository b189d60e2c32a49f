import type { JSX } from 'preact';
import { lone } from '../lib/series';

/** A line as small as a word. Gaps stay gaps. The row beside it says the numbers. */
export function Spark({ values, label, low = 0, high, tone = 'line' }: { values: (number | null)[] | undefined; label: string; low?: number; high?: number; tone?: string }): JSX.Element {
  const [width, height] = [84, 22];
  const known = (values ?? []).filter((v): v is number => v !== null && Number.isFinite(v));
  if (!values || known.length === 0) return <svg class="spark" width={width} height={height} role="img" aria-label={`${label}: nothing to draw`} />;
  const [min, max] = [Math.min(low, ...known), Math.max(high ?? 0, ...known)];
  const x = (i: number) => 1 + (i / Math.max(1, values.length - 1)) * (width - 2);
  const y = (v: number) => height - 2 - ((v - min) / (max - min || 1)) * (height - 4);
  let path = '';
  let pen = false;
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) pen = false;
    else {
      path += `${pen ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
      pen = true;
    }
  });
  for (const i of lone(values)) path += `M${(x(i) - 0.7).toFixed(1)} ${y(values[i]!).toFixed(1)}h1.4`;
  return (
    <svg class={`spark ${tone}`} width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={path} />
    </svg>
  );
}
