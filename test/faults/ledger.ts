/** What clients were told about their writes, kept outside the cluster, and what it may hold afterwards because of that. */

/** What a caller was told: `acknowledged` (never lost), `refused` (never appears), `unknown` (may appear once). */
export type Told = 'acknowledged' | 'refused' | 'unknown';

interface Known {
  /** The last value that is certain; null: not there. */
  sure: string | null;
  /** Values that may yet appear: their outcome is unknown. */
  readonly perhaps: Set<string | null>;
}

export class Ledger {
  readonly counts: Record<Told, number> = { acknowledged: 0, refused: 0, unknown: 0 };
  readonly #keys = new Map<string, Known>();
  /** The longest time without an acknowledged write, ms. */
  longestGapMs = 0;
  /** The same while there was a quorum all the time, as far as whoever takes it away has told. */
  longestGapWithQuorumMs = 0;
  /** Told of each gap of more than two seconds. */
  readonly #onGap: ((ms: number, hadQuorum: boolean) => void) | undefined;
  #last = performance.now();
  #hadQuorum = true;

  constructor(onGap?: (ms: number, hadQuorum: boolean) => void) {
    this.#onGap = onGap;
  }

  /** A write of `value` (null: removal) to `key` ended. A request that was repeated under its id is noted once, as it ended at last. */
  note(keys: readonly string[], value: string | null, told: Told): void {
    this.counts[told] += 1;
    if (told === 'acknowledged') {
      const now = performance.now();
      this.longestGapMs = Math.max(this.longestGapMs, now - this.#last);
      if (now - this.#last > 2000) this.#onGap?.(now - this.#last, this.#hadQuorum);
      if (this.#hadQuorum) this.longestGapWithQuorumMs = Math.max(this.longestGapWithQuorumMs, now - this.#last);
      this.#last = now;
      this.#hadQuorum = true;
    }
    for (const key of keys) {
      const known = this.#keys.get(key) ?? { sure: null, perhaps: new Set() };
      this.#keys.set(key, known);
      if (told === 'acknowledged') known.sure = value;
      if (told === 'unknown') known.perhaps.add(value);
    }
  }

  /** There is no quorum now: this gap says nothing of an election. */
  noQuorum(): void {
    this.#hadQuorum = false;
  }

  /** Every promise that what is there breaks, in words. */
  broken(found: ReadonlyMap<string, string>): string[] {
    const broken: string[] = [];
    for (const [key, { sure, perhaps }] of this.#keys) {
      const value = found.get(key) ?? null;
      if (value === sure || perhaps.has(value)) continue;
      broken.push(`${key} is ${String(value)}, and should be ${[sure, ...perhaps].map(String).join(' or ')}`);
    }
    for (const key of found.keys()) if (!this.#keys.has(key)) broken.push(`nobody wrote ${key}`);
    return broken;
  }
}
