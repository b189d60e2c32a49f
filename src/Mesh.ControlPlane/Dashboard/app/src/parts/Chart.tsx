import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Change } from '../api';
import { clock, moment } from '../lib/format';
import { lone } from '../lib/series';
import { theme } from '../state/theme';
import { Icon } from './Icon';

export interface Line {
  label: string;
  /** A colour of the design, such as --line-1. */
  color: string;
  values: (number | null)[];
  dash?: number[];
  fill?: boolean;
}

export interface ChartProps {
  title: string;
  /** Unix seconds. */
  times: number[];
  lines: Line[];
  format: (value: number | null | undefined) => string;
  marks?: Change[];
  /** The time that the numbers beside it are of, unix seconds. */
  band?: [number, number];
  from: number;
  to: number;
  height?: number;
  /** The axis reaches at least from here to there. */
  atLeast?: [number, number];
  loading?: boolean;
  error?: string | null;
}

const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A chart with marks where something changed, and the same numbers as a table. */
export function Chart(props: ChartProps): JSX.Element {
  const { title, times, lines, format, marks = [], from, to, height = 170 } = props;
  const [asTable, setAsTable] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shape = lines.map((l) => l.label + l.color).join('|');
  const data = useMemo(() => [times, ...lines.map((l) => l.values)] as uPlot.AlignedData, [times, lines]);
  const look = theme.value;

  useEffect(() => {
    if (asTable || !host.current) return;
    const box = host.current;
    const made = new uPlot(options(latest, box.clientWidth || 400, height, setAt), data, box);
    plot.current = made;
    let width = box.clientWidth;
    const watch = new ResizeObserver(() => {
      if (box.clientWidth > 0 && box.clientWidth !== width) made.setSize({ width: (width = box.clientWidth), height });
    });
    watch.observe(box);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [asTable, shape, look, height]);

  useEffect(() => {
    plot.current?.setData(data, false);
    plot.current?.setScale('x', { min: from / 1000, max: to / 1000 });
  }, [data, from, to]);
  useEffect(() => plot.current?.redraw(false), [marks.map((m) => m.at).join()]);

  const index = at ?? lastKnown(lines);
  const here = at === null ? undefined : times[at];
  const near = here === undefined ? [] : marks.filter((m) => Math.abs(Date.parse(m.at) / 1000 - here) <= ((to - from) / 1000) * 0.012);
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
        <div class="legend">
          {lines.map((l) => (
            <span key={l.label}>
              <i class={'swatch' + (l.dash ? ' dashed' : '')} style={{ color: `var(${l.color})` }} aria-hidden="true" />
              {l.label} <b>{format(index < 0 ? null : l.values[index])}</b>
            </span>
          ))}
          <span class="when">{here === undefined ? 'latest' : clock(here * 1000)}</span>
        </div>
        <button type="button" class="ghost" aria-pressed={asTable} title={asTable ? 'Show as chart' : 'Show as table'} aria-label={`${title}: as ${asTable ? 'chart' : 'table'}`} onClick={() => setAsTable(!asTable)}>
          <Icon name={asTable ? 'chart' : 'table'} />
        </button>
      </figcaption>
      {asTable ? (
        <div class="scroll twin" style={{ height: `${height}px` }} tabIndex={0} role="region" aria-label={`${title}, table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {lines.map((l) => (
                  <th key={l.label} scope="col" class="num">
                    {l.label}
                  </th>
                ))}
                <th scope="col">Changed</th>
              </tr>
            </thead>
            <tbody>
              {times
                .map((t, i) => (
                  <tr key={t}>
                    <td>{moment(t * 1000, Date.now())}</td>
                    {lines.map((l) => (
                      <td key={l.label} class="num">
                        {format(l.values[i])}
                      </td>
                    ))}
                    <td>{marks.filter((m) => within(m, t, times[i + 1])).map((m) => m.what).join('; ')}</td>
                  </tr>
                ))
                .reverse()}
            </tbody>
          </table>
        </div>
      ) : (
        <div class="plot" style={{ height: `${height}px` }}>
          <div ref={host} aria-hidden="true" />
          {near.length > 0 && <div class="marktip">{near.slice(0, 4).map((m) => <div key={m.at + m.what}>{clock(m.at)} {m.what}</div>)}</div>}
          {times.length === 0 && <p class="over">{props.error ?? (props.loading ? 'Loading …' : 'Nothing was measured in this time.')}</p>}
        </div>
      )}
    </figure>
  );
}

const within = (mark: Change, t: number, next: number | undefined) => {
  const at = Date.parse(mark.at) / 1000;
  return at >= t && at < (next ?? t + 10);
};

function lastKnown(lines: Line[]): number {
  const n = lines[0]?.values.length ?? 0;
  for (let i = n - 1; i >= 0; i--) if (lines.some((l) => l.values[i] !== null && l.values[i] !== undefined)) return i;
  return -1;
}

function options(latest: { current: ChartProps }, width: number, height: number, setAt: (i: number | null) => void): uPlot.Options {
  const { lines, from, to } = latest.current;
  const [muted, grid, band, mark] = ['--muted', '--grid', '--band', '--mark'].map(css) as [string, string, string, string];
  const font = '11px ' + (css('--font') || 'sans-serif');
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    padding: [12, 8, 0, 0],
    scales: {
      x: { time: true, min: from / 1000, max: to / 1000 },
      y: {
        range: (_u, low, high) => {
          const [a, b] = latest.current.atLeast ?? [0, 0];
          const [min, max] = [Math.min(a, low ?? a), Math.max(b, high ?? b)];
          return [min, max > min ? max + (max - min) * (latest.current.atLeast && max === b ? 0.02 : 0.1) : min + 1];
        },
      },
    },
    axes: [
      { stroke: muted, font, grid: { show: false }, ticks: { stroke: grid, size: 4 }, size: 26, values: (_u, all) => all.map((t) => clock(t * 1000, (to - from) < 120_000)) },
      { stroke: muted, font, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 62, gap: 6, space: 34, values: (_u, all) => all.map((v) => latest.current.format(v)) },
    ],
    series: [
      {},
      ...lines.map((l) => ({
        label: l.label,
        stroke: css(l.color),
        width: 1.7,
        dash: l.dash,
        fill: l.fill ? css(l.color) + '22' : undefined,
        points: { show: false, size: 5, width: 0, fill: css(l.color), filter: (u: uPlot, i: number) => lone(u.data[i]!) },
        spanGaps: false,
      })),
    ],
    hooks: {
      drawClear: [
        (u) => {
          const time = latest.current.band;
          if (!time) return;
          const [left, right] = [u.valToPos(time[0], 'x', true), u.valToPos(time[1], 'x', true)];
          u.ctx.fillStyle = band;
          u.ctx.fillRect(Math.max(left, u.bbox.left), u.bbox.top, Math.min(right, u.bbox.left + u.bbox.width) - Math.max(left, u.bbox.left), u.bbox.height);
        },
      ],
      draw: [
        (u) => {
          const ratio = devicePixelRatio;
          u.ctx.save();
          for (const change of latest.current.marks ?? []) {
            const x = u.valToPos(Date.parse(change.at) / 1000, 'x', true);
            if (!(x >= u.bbox.left && x <= u.bbox.left + u.bbox.width)) continue;
            u.ctx.strokeStyle = u.ctx.fillStyle = change.kind === 'fault' ? css('--failing') : mark;
            u.ctx.lineWidth = ratio;
            u.ctx.setLineDash([3 * ratio, 3 * ratio]);
            u.ctx.beginPath();
            u.ctx.moveTo(x, u.bbox.top);
            u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
            u.ctx.stroke();
            u.ctx.setLineDash([]);
            u.ctx.beginPath();
            u.ctx.moveTo(x - 4 * ratio, u.bbox.top - 6 * ratio);
            u.ctx.lineTo(x + 4 * ratio, u.bbox.top - 6 * ratio);
            u.ctx.lineTo(x, u.bbox.top);
            u.ctx.fill();
          }
          u.ctx.restore();
        },
      ],
      setCursor: [(u) => setAt(u.cursor.idx ?? null)],
    },
  };
}
