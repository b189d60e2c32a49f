import type { JSX } from 'preact';
import { SCREENS } from '../screens/screens';
import { Dialog } from './Dialog';

export function Help({ onClose }: { onClose: () => void }): JSX.Element {
  const rows: [string, string][] = [
    ['/', 'search a service or screen'],
    ...SCREENS.map((s) => [`g ${s.key}`, s.name] as [string, string]),
    ['p', 'pause, and live again'],
    ['1 … 7', 'time range, from 1 m to 7 d'],
    ['t', 'time range, by its two ends'],
    ['d', 'dark, light, as the system'],
    ['?', 'these keys'],
    ['← →', 'in the graph: along an edge, to callers and called'],
    ['↑ ↓', 'in the graph: the next of them'],
    ['Enter', 'in the graph: open the service'],
    ['Esc', 'close, deselect'],
  ];
  return (
    <Dialog title="Keys" narrow onClose={onClose}>
      <dl class="keys">
        {rows.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(' ').map((k, i) => (
                <kbd key={i}>{k}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
