/**
 * The disk as the log sees it: one flat folder of files. Everything is synchronous but the syncs, which take as long as the device
 * takes; so the same log runs on a real folder (`node-disk.ts`) and, step by step, on a simulated one that loses what was not synced.
 * Every method throws the system's error as it is; the log turns it into a `BeltError('disk')`.
 */

/** Called once when a sync has ended: null, or why nothing may be taken as durable. Never called from within the call that asked. */
export type Synced = (error: Error | null) => void;

/** An open file of the folder. */
export interface DiskFile {
  /** Writes all of `bytes` at `offset`; it is durable after the next {@link sync} has ended. A gap left before `offset` reads as zeros. */
  write(offset: number, bytes: Uint8Array): void;
  /** At most `length` bytes from `offset`; fewer at the end of the file. The buffer is the caller's own. */
  read(offset: number, length: number): Buffer;
  /** Makes durable all that was written to this file before the call, its size included (fdatasync). */
  sync(done: Synced): void;
  /** Bytes in the file. */
  size(): number;
  /** Closing twice is harmless; a sync under way still ends. */
  close(): void;
}

/** A folder. Names are plain file names. */
export interface Disk {
  /** For messages: where the folder is. */
  readonly where: string;
  list(): string[];
  /** Opens `name`, making an empty file when it is not there. */
  open(name: string): DiskFile;
  /** Renames over whatever has the new name: atomic, durable after {@link syncFolder}. */
  rename(from: string, to: string): void;
  /** Removes a file; one that is absent is no error. */
  remove(name: string): void;
  /** Makes renames, removals and new files durable (fsync of the folder). */
  syncFolder(done: Synced): void;
}
