import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Icon } from './Icon';

export function Dialog({ title, onClose, children, narrow = false, fixed = false }: { title: string; onClose: () => void; children: ComponentChildren; narrow?: boolean; fixed?: boolean }): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const back = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => back?.focus?.();
  }, []);
  return (
    <dialog ref={ref} class={narrow ? 'narrow' : ''} aria-label={title} onCancel={(e) => { e.preventDefault(); if (!fixed) onClose(); }} onClick={(e) => e.target === ref.current && !fixed && onClose()}>
      <div class="inside">
        <header>
          <h2>{title}</h2>
          {!fixed && (
            <button type="button" class="ghost" aria-label="Close" onClick={onClose}>
              <Icon name="close" />
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  );
}
