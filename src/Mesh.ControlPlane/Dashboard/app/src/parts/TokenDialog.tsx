import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { loadInfo } from '../state/net';
import { refused, setToken } from '../state/session';
import { Dialog } from './Dialog';

export function TokenDialog({ fixed }: { fixed: boolean }): JSX.Element {
  const [value, setValue] = useState('');
  const enter = (e: Event) => {
    e.preventDefault();
    const text = value.trim();
    if (!text) return;
    setToken(text);
    void loadInfo();
  };
  return (
    <Dialog title="Who is asking?" narrow fixed={fixed} onClose={() => (refused.value = null)}>
      <form onSubmit={enter} class="stack">
        {refused.value && (
          <p class="state error" role="alert">
            {refused.value}
          </p>
        )}
        <p>
          The control plane answers whoever shows a token. It prints one when it starts (<code>view_token</code>, <code>token</code>) and keeps them in its data folder; in a cluster use <code>mesh dashboard</code>.
        </p>
        <label>
          Token
          {/* Not a password that a browser should keep. */}
          <input type="password" name="token" autocomplete="off" spellcheck={false} value={value} onInput={(e) => setValue(e.currentTarget.value)} autofocus />
        </label>
        <p class="muted">It stays in this tab and is sent to nobody but this control plane.</p>
        <div class="buttons">
          <button type="submit" class="primary" disabled={value.trim() === ''}>
            Open
          </button>
        </div>
      </form>
    </Dialog>
  );
}
