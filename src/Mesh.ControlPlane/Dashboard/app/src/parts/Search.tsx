import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Level, Overview, Topology } from '../api';
import { topic } from '../state/live';
import { go, link } from '../state/where';
import { Dialog } from './Dialog';
import { LevelShape } from './Icon';
import { SCREENS } from '../screens/screens';
import { rank } from '../lib/search';

interface Found {
  label: string;
  note: string;
  href: string;
  level?: Level;
}

export function Search({ onClose }: { onClose: () => void }): JSX.Element {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const overview = topic<Overview>('overview').value.data;
  const topology = topic<Topology>('topology').value.data;
  const found = useMemo(() => {
    const known = new Map<string, Found>();
    for (const s of overview?.services ?? []) known.set(`${s.namespace}/${s.name}`, { label: s.name, note: s.namespace, href: link('service', [s.namespace, s.name]), level: s.level });
    for (const n of topology?.nodes ?? []) if (n.kind === 'service' && !known.has(n.id)) known.set(n.id, { label: n.name, note: n.namespace, href: link('service', [n.namespace, n.name]), level: n.level });
    const all: Found[] = [...known.values(), ...SCREENS.map((s) => ({ label: s.name, note: 'screen', href: link(s.id) }))];
    return rank(all, text, (x) => `${x.label} ${x.note}`).slice(0, 12);
  }, [text, overview, topology]);
  useEffect(() => setAt(0), [text]);

  const choose = (i: number) => {
    const item = found[i];
    if (!item) return;
    go(item.href);
    onClose();
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      setAt((n) => Math.max(0, Math.min(found.length - 1, n + (e.key === 'ArrowDown' ? 1 : -1))));
    } else if (e.key === 'Enter') {
      e.preventDefault();
      choose(at);
    }
  };
  return (
    <Dialog title="Search" narrow onClose={onClose}>
      <input
        class="big"
        type="text"
        role="combobox"
        aria-label="A service or screen"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={found.length ? `found-${at}` : undefined}
        placeholder="A service, a namespace, a screen …"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(e) => setText(e.currentTarget.value)}
        onKeyDown={onKey}
        autofocus
      />
      <ul id="found" class="found" role="listbox" aria-label="Found" ref={list}>
        {found.map((f, i) => (
          <li key={f.href} id={`found-${i}`} role="option" aria-selected={i === at} onClick={() => choose(i)} onMouseMove={() => setAt(i)}>
            {f.level ? <LevelShape level={f.level} /> : <span class="dot" />}
            <span>{f.label}</span>
            <small>{f.note}</small>
          </li>
        ))}
        {found.length === 0 && <li class="empty">Nothing of that name.</li>}
      </ul>
    </Dialog>
  );
}
