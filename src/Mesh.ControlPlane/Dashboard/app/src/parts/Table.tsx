import type { ComponentChildren, JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';

export interface Column<T> {
  key: string;
  head: string;
  /** What the head means, where that is not plain. */
  title?: string;
  cell: (row: T) => ComponentChildren;
  /** Undefined: it can't be sorted by. */
  sort?: (row: T) => number | string;
  numeric?: boolean;
  /** Sorted downwards first. */
  wide?: boolean;
}

export interface TableProps<T> {
  caption: string;
  columns: Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  empty?: string;
  /** As given until somebody sorts. */
  onRow?: (row: T) => void;
  rowClass?: (row: T) => string;
  limit?: number;
}

export function Table<T>({ caption, columns, rows, rowKey, empty = 'Nothing here.', onRow, rowClass, limit = 500 }: TableProps<T>): JSX.Element {
  const [order, setOrder] = useState<{ key: string; down: boolean } | null>(null);
  const sorted = useMemo(() => {
    const column = order && columns.find((c) => c.key === order.key);
    if (!column?.sort) return rows;
    const sort = column.sort;
    return [...rows].sort((a, b) => {
      const [x, y] = [sort(a), sort(b)];
      const by = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
      return order!.down ? -by : by;
    });
  }, [rows, order, columns]);
  const shown = sorted.length > limit ? sorted.slice(0, limit) : sorted;

  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.key} scope="col" class={c.numeric ? 'num' : ''} title={c.title} aria-sort={order?.key === c.key ? (order.down ? 'descending' : 'ascending') : undefined}>
                {c.head === '' ? (
                  <span class="hidden">{c.key}</span>
                ) : c.sort ? (
                  <button type="button" class="sort" onClick={() => setOrder(order?.key === c.key ? (order.down === !!c.numeric ? { key: c.key, down: !order.down } : null) : { key: c.key, down: !!c.numeric })}>
                    {c.head}
                    <span class="by" aria-hidden="true">
                      {order?.key === c.key ? (order.down ? '↓' : '↑') : ''}
                    </span>
                  </button>
                ) : (
                  c.head
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={rowKey(row)} class={(onRow ? 'link ' : '') + (rowClass?.(row) ?? '')} onClick={onRow && ((e) => !(e.target as Element).closest('a,button') && onRow(row))}>
              {columns.map((c) => (
                <td key={c.key} class={c.numeric ? 'num' : c.wide ? 'wide' : ''}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="empty">{empty}</p>}
      {sorted.length > limit && <p class="empty">{sorted.length - limit} more are not drawn. Narrow it down.</p>}
    </div>
  );
}
