import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Fault } from '../api';
import { send } from '../state/net';
import { Dialog } from './Dialog';

export async function endFault(fault: Fault): Promise<void> {
  await send('DELETE', `faults/${encodeURIComponent(fault.id)}`);
}

/** Makes a service slow or fail, on purpose and for a while. */
export function FaultDialog({ namespace, service, onClose }: { namespace: string; service: string; onClose: () => void }): JSX.Element {
  const [kind, setKind] = useState<'slow' | 'fail'>('slow');
  const [delay, setDelay] = useState('200');
  const [status, setStatus] = useState('503');
  const [share, setShare] = useState('100');
  const [seconds, setSeconds] = useState('60');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await send('POST', 'faults', {
        namespace,
        service,
        seconds: Number(seconds),
        ...(kind === 'slow' ? { delay_ms: Number(delay), delay_percent: Number(share) } : { abort_status: Number(status), abort_percent: Number(share) }),
      });
      onClose();
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Make ${service} slow or fail`} narrow onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        <p>
          Its meshed callers will see this, as if {service} did it. It ends by itself; it can be ended earlier on the screens Now and {service}.
        </p>
        <fieldset class="choice">
          <legend>What</legend>
          <label>
            <input type="radio" name="kind" checked={kind === 'slow'} onChange={() => setKind('slow')} /> Slow
          </label>
          <label>
            <input type="radio" name="kind" checked={kind === 'fail'} onChange={() => setKind('fail')} /> Fail
          </label>
        </fieldset>
        <div class="fields">
          {kind === 'slow' ? (
            <label>
              Delay, ms
              <input type="number" name="delay" min="1" max="60000" required value={delay} onInput={(e) => setDelay(e.currentTarget.value)} />
            </label>
          ) : (
            <label>
              Status
              <input type="number" name="status" min="400" max="599" required value={status} onInput={(e) => setStatus(e.currentTarget.value)} />
            </label>
          )}
          <label>
            Share of calls, %
            <input type="number" name="share" min="1" max="100" required value={share} onInput={(e) => setShare(e.currentTarget.value)} />
          </label>
          <label>
            For, s
            <input type="number" name="seconds" min="1" max="3600" required value={seconds} onInput={(e) => setSeconds(e.currentTarget.value)} />
          </label>
        </div>
        {error && (
          <p class="state error" role="alert">
            {error}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={busy}>
            {kind === 'slow' ? 'Make it slow' : 'Make it fail'}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
