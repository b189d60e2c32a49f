import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { WINDOWS, shown, typedRange } from '../lib/route';
import { clock, moment } from '../lib/format';
import { now } from '../state/live';
import { range, setRange, togglePause } from '../state/where';
import { Dialog } from './Dialog';
import { Icon } from './Icon';

/** Which time everything is about: the last so long, two ends, live or held. */
export function TimeRange({ typing, onTyping }: { typing: boolean; onTyping: (open: boolean) => void }): JSX.Element {
  const r = range.value;
  return (
    <>
      <div class="range" role="group" aria-label="Time range">
        {WINDOWS.map((w) => (
          <button key={w.seconds} type="button" aria-pressed={r.live && r.seconds === w.seconds} title={w.name} aria-label={`${w.label}, ${w.name}`} onClick={() => setRange({ live: true, seconds: w.seconds })}>
            {w.label}
          </button>
        ))}
        <button type="button" aria-pressed={!r.live} aria-haspopup="dialog" aria-keyshortcuts="t" title="From … to … (t)" onClick={() => onTyping(true)}>
          From–to
        </button>
      </div>
      <button type="button" class="pause" aria-pressed={!r.live} onClick={() => togglePause(Date.now())} aria-keyshortcuts="p" title={r.live ? 'Hold what is shown' : 'Back to what is now'}>
        <Icon name={r.live ? 'pause' : 'play'} size={14} />
        <span>{r.live ? 'Live' : `Paused: ${moment(r.from, now.value)} – ${clock(r.to)}`}</span>
      </button>
      {typing && <Typed onClose={() => onTyping(false)} />}
    </>
  );
}

function Typed({ onClose }: { onClose: () => void }): JSX.Element {
  const r = range.value;
  const [from, setFrom] = useState(shown(r.live ? Date.now() - r.seconds * 1000 : r.from));
  const [to, setTo] = useState(r.live ? 'now' : shown(r.to));
  const [wrong, setWrong] = useState('');
  const submit = (e: Event) => {
    e.preventDefault();
    const next = typedRange(from, to, Date.now());
    if (typeof next === 'string') {
      setWrong(next);
      return;
    }
    onClose();
    setRange(next);
  };
  return (
    <Dialog title="Time range" narrow onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <label>
          From <input name="from" value={from} autoFocus onInput={(e) => setFrom(e.currentTarget.value)} aria-invalid={wrong !== ''} aria-describedby="time-wrong" />
        </label>
        <label>
          To <input name="to" value={to} onInput={(e) => setTo(e.currentTarget.value)} aria-invalid={wrong !== ''} aria-describedby="time-wrong" />
        </label>
        <p class="muted">Such as 14:05, 2026-01-31 14:05, -90m or now, by this computer’s clock. What was chosen stands in the address.</p>
        <p id="time-wrong" class="degraded" role="alert">
          {wrong}
        </p>
        <div class="buttons">
          <button type="submit" class="primary">
            Show that time
          </button>
        </div>
      </form>
    </Dialog>
  );
}
