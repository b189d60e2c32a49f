/** The newest N, oldest first out. */
export class Ring<T> {
  private readonly items: T[] = [];
  private next = 0;
  total = 0;

  constructor(readonly size: number) {}

  push(item: T): void {
    if (this.items.length < this.size) this.items.push(item);
    else this.items[this.next] = item;
    this.next = (this.next + 1) % this.size;
    this.total++;
  }

  /** Puts another in the place of the first that is meant. False: none is. */
  replace(isMeant: (item: T) => boolean, by: (item: T) => T): boolean {
    const at = this.items.findIndex(isMeant);
    if (at < 0) return false;
    this.items[at] = by(this.items[at]!);
    return true;
  }

  clear(): void {
    this.items.length = 0;
    this.next = 0;
    this.total = 0;
  }

  /** Newest first. */
  newest(): T[] {
    const n = this.items.length;
    return Array.from({ length: n }, (_, i) => this.items[(this.next - 1 - i + 2 * n) % n]!);
  }
}
