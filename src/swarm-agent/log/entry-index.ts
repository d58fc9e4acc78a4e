/** Where the log's entries are: which record of which segment holds which. */
import type { LogIndex } from '../raft/types.ts';

/** A run of entries within one record. */
export interface EntryRun {
  readonly segment: number;
  /** Of the record, bytes. */
  readonly offset: number;
  readonly bytes: number;
  readonly first: LogIndex;
  /** Lowered when a later write cuts the run's end off. */
  last: LogIndex;
}

/** The runs in order, contiguous. */
export class EntryIndex {
  readonly #runs: EntryRun[] = [];

  /** The index after the last entry, null when there is none. */
  get next(): LogIndex | null {
    return this.#runs.length === 0 ? null : this.#runs.at(-1)!.last + 1;
  }

  /** The index of the first entry, null when there is none. */
  get first(): LogIndex | null {
    return this.#runs[0]?.first ?? null;
  }

  /** Adds a run; what was there at or after its first index is cut off. */
  add(run: EntryRun): void {
    this.#cut(run.first);
    this.#runs.push(run);
  }

  /** Forgets all entries. */
  clear(): void {
    this.#runs.length = 0;
  }

  /** Forgets the runs that lie in segments before `segment`. */
  dropBefore(segment: number): void {
    const kept = this.#runs.findIndex((run) => run.segment >= segment);
    this.#runs.splice(0, kept === -1 ? this.#runs.length : kept);
  }

  /** The run that holds `index`, by binary search. */
  find(index: LogIndex): EntryRun | null {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const run = this.#runs[middle]!;
      if (index < run.first) high = middle - 1;
      else if (index > run.last) low = middle + 1;
      else return run;
    }
    return null;
  }

  #cut(first: LogIndex): void {
    while (this.#runs.length > 0 && this.#runs.at(-1)!.first >= first) this.#runs.pop();
    const last = this.#runs.at(-1);
    if (last !== undefined && last.last >= first) last.last = first - 1;
  }
}
