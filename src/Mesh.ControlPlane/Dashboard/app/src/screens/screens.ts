/** What can be opened from everywhere, in order. A screen that is not here yet is one more line, and its component in app.tsx. */
export const SCREENS: readonly { id: string; name: string; key: string; icon: string }[] = [
  { id: 'now', name: 'Now', key: 'n', icon: 'now' },
  { id: 'topology', name: 'Topology', key: 't', icon: 'topology' },
  { id: 'tap', name: 'Tap', key: 'a', icon: 'tap' },
  { id: 'top', name: 'Top', key: 'o', icon: 'top' },
  { id: 'traces', name: 'Traces', key: 'r', icon: 'traces' },
  { id: 'security', name: 'Security', key: 's', icon: 'security' },
  { id: 'control-plane', name: 'Control plane', key: 'c', icon: 'control-plane' },
];
