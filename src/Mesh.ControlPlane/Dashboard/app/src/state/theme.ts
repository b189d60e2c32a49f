import { computed, effect, signal } from '@preact/signals';

export type Choice = 'auto' | 'light' | 'dark';
const KEY = 'mesh-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const system = signal(dark.matches);
dark.addEventListener('change', (e) => (system.value = e.matches));

const kept = localStorage.getItem(KEY);
export const choice = signal<Choice>(kept === 'light' || kept === 'dark' ? kept : 'auto');
export const theme = computed<'light' | 'dark'>(() => (choice.value === 'auto' ? (system.value ? 'dark' : 'light') : choice.value));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function nextTheme(): void {
  const order: Choice[] = ['auto', 'light', 'dark'];
  choice.value = order[(order.indexOf(choice.value) + 1) % order.length]!;
  if (choice.value === 'auto') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice.value);
}
