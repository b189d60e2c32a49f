/** Those that hold all words, best first: a name that begins so, then one that holds it, then letters in this order. */
export function rank<T>(all: readonly T[], text: string, textOf: (item: T) => string): T[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...all];
  const scored: { item: T; score: number; i: number }[] = [];
  all.forEach((item, i) => {
    const target = textOf(item).toLowerCase();
    let score = 0;
    for (const word of words) {
      const s = one(target, word);
      if (s === 0) return;
      score += s;
    }
    scored.push({ item, score, i });
  });
  return scored.sort((a, b) => b.score - a.score || a.i - b.i).map((s) => s.item);
}

function one(target: string, word: string): number {
  if (target.startsWith(word)) return 100;
  const at = target.indexOf(word);
  if (at > 0) return /[\s\-/.]/.test(target[at - 1]!) ? 80 : 60;
  let from = 0;
  for (const letter of word) {
    from = target.indexOf(letter, from) + 1;
    if (from === 0) return 0;
  }
  return 10;
}
