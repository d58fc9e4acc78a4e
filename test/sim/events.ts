/** What is to happen and when: a heap of events by simulated time, first come first served among equals. */
export class Events {
  private heap: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  private order = 0;
  /** Simulated milliseconds since the run began. */
  now = 0;

  after(delayMs: number, run: () => void): void {
    const { heap } = this;
    const event = { at: this.now + delayMs, order: this.order++, run };
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** Takes the next event due at or before `until` and moves the time to it; false when there is none. */
  step(until: number): boolean {
    const next = this.heap[0];
    if (next === undefined || next.at > until) return false;
    this.removeFirst();
    this.now = next.at;
    next.run();
    return true;
  }

  private removeFirst(): void {
    const { heap } = this;
    const last = heap.pop()!;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (before(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: { at: number; order: number }, b: { at: number; order: number }): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
