import type { JSX } from 'preact';
import type { Timed } from '../api';
import { clock, moment } from '../lib/format';
import { LEFT_OUT } from '../lib/past';
import { now } from '../state/live';
import { range } from '../state/where';
import { Icon } from './Icon';

/** Says that a fixed time is shown, and what nobody knows of it. */
export function Past({ of }: { of: Timed }): JSX.Element | null {
  const r = range.value;
  if (r.live) return null;
  const unknown = [...new Set((of.left_out ?? []).map((f) => LEFT_OUT[f] ?? f))];
  return (
    <div class="state past" role="status">
      <Icon name="pause" size={14} />
      <span>
        <b>
          Paused: {moment(r.from, now.value)} – {clock(r.to)}.
        </b>{' '}
        {of.past ? `What is only known of now is left out${unknown.length > 0 ? `: ${unknown.join(', ')}` : ''}.` : `What is shown is of ${clock(of.at)}.`}
      </span>
    </div>
  );
}

/** Of a screen that has no past. */
export function OnlyNow({ what }: { what: string }): JSX.Element | null {
  if (range.value.live) return null;
  return (
    <div class="state past" role="status">
      <Icon name="bolt" size={14} /> <span>{what} is of now, whatever time is chosen.</span>
    </div>
  );
}
