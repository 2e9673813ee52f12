/** First in, first out; part of snapshots. Built for many small operations between few snapshots. */
export class StoreQueue {
  private items: number[] = [];
  private head = 0;
  private isShared = false;

  get length(): number {
    return this.items.length - this.head;
  }

  /** All that it holds, first in first. */
  values(): readonly number[] {
    return this.items.slice(this.head);
  }

  push(value: number): void {
    this.own();
    this.items.push(value);
  }

  shift(): number | undefined {
    if (this.head >= this.items.length) return undefined;
    this.own();
    const value = this.items[this.head];
    this.head++;
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return value;
  }

  save(): unknown {
    this.isShared = true;
    return { items: this.items, head: this.head };
  }

  load(saved: unknown): void {
    const { items, head } = saved as { items: number[]; head: number };
    this.items = items;
    this.head = head;
    this.isShared = true;
  }

  private own(): void {
    if (!this.isShared) return;
    this.items = this.items.slice(this.head);
    this.head = 0;
    this.isShared = false;
  }
}
