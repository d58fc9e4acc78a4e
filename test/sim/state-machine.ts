/** The simulated members' state machine: lists of numbers by key. Each command appends one number that is never used twice, so a list tells the whole history of its key. */

/** A command: append `value` to the list `key`. */
export function encodeAppend(key: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, key);
  view.setUint32(4, value);
  return bytes;
}

export class StateMachine {
  private lists = new Map<number, number[]>();
  /** Folded over everything applied: equal histories, equal hashes. */
  hash = 0;

  /** Applies a command; `stamp` identifies the entry (its index and term). Returns the value appended. */
  apply(stamp: number, data: Uint8Array): number {
    this.fold(stamp);
    if (data.length !== 8) return 0;
    const view = new DataView(data.buffer, data.byteOffset);
    const key = view.getUint32(0);
    const value = view.getUint32(4);
    this.fold(key);
    this.fold(value);
    let list = this.lists.get(key);
    if (list === undefined) this.lists.set(key, (list = []));
    list.push(value);
    return value;
  }

  /** The list as it is now. */
  read(key: number): readonly number[] { return this.lists.get(key)?.slice() ?? []; }

  save(): Buffer { return Buffer.from(JSON.stringify([this.hash, ...this.lists])); }

  restore(content: Buffer): void {
    const [hash, ...lists] = JSON.parse(content.toString()) as [number, ...[number, number[]][]];
    this.hash = hash;
    this.lists = new Map(lists);
  }

  private fold(value: number): void {
    this.hash = (Math.imul(this.hash ^ value, 0x01000193) ^ (this.hash >>> 15)) >>> 0;
  }
}
