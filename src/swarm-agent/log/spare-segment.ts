/** The next segment, filled with zeros ahead of time so that a write never waits for it. */
import type { Disk, DiskFile } from './disk.ts';

/** How much is written between two syncs: little enough not to hold up the log's own syncs. */
const STEP = Buffer.alloc(256 * 1024);

/** At most one spare file. Failing to prepare it is no failure of the log: the next segment then starts empty and grows. */
export class SpareSegment {
  static readonly fileName = 'log-spare';
  readonly #disk: Disk;
  readonly #bytes: number;
  #file: DiskFile | null = null;
  /** Bytes filled; the spare is ready when all are. */
  #filled = 0;
  /** Told apart from older fillings that were abandoned while a sync of theirs was under way. */
  #filling = 0;

  /** `bytes`: the size of a segment. What an earlier run left is removed: it may not be all zeros. */
  constructor(disk: Disk, bytes: number) {
    this.#disk = disk;
    this.#bytes = bytes;
    disk.remove(SpareSegment.fileName);
  }

  /** Whether the spare is filled. */
  get ready(): boolean {
    return this.#file !== null && this.#filled === this.#bytes;
  }

  /** Begins to fill a spare, if there is none. `then` is called when it is filled or given up. */
  prepare(then: () => void = () => undefined): void {
    if (this.#file !== null) return then();
    this.#filled = 0;
    const filling = ++this.#filling;
    this.#attempt(filling, then, () => {
      this.#file = this.#disk.open(SpareSegment.fileName);
      this.#fill(filling, then);
    });
  }

  /** An open file that still has the spare's name: the spare when it is ready, else an empty one (a fill under way would go on in a file that is in use). Throws what the disk throws. */
  take(): DiskFile {
    const file = this.ready ? this.#file : null;
    if (file === null) {
      this.close();
      this.#disk.remove(SpareSegment.fileName);
    }
    this.#file = null;
    return file ?? this.#disk.open(SpareSegment.fileName);
  }

  close(): void {
    this.#filling++;
    this.#file?.close();
    this.#file = null;
  }

  #fill(filling: number, then: () => void): void {
    if (this.#filled === this.#bytes) return then();
    const bytes = Math.min(STEP.length, this.#bytes - this.#filled);
    this.#file!.write(this.#filled, bytes === STEP.length ? STEP : STEP.subarray(0, bytes));
    this.#file!.sync((error) => {
      if (filling !== this.#filling) return;
      this.#filled += bytes;
      this.#attempt(filling, then, () => {
        if (error !== null) throw error;
        this.#fill(filling, then);
      });
    });
  }

  #attempt(filling: number, then: () => void, work: () => void): void {
    try {
      work();
    } catch {
      if (filling !== this.#filling) return;
      this.close();
      try {
        this.#disk.remove(SpareSegment.fileName);
      } catch {
        // A disk that fails altogether shows at the next write of the log, which is the one that counts.
      }
      then();
    }
  }
}
