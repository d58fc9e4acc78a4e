/**
 * A disk in memory that can lose its power: what was synced is kept, of what was not each sector is kept or lost as `keep` says; renames,
 * new files and removals that no folder sync made durable may be undone likewise. Syncs end when the test says so.
 */
import type { Disk, DiskFile, Synced } from '../../../src/swarm-agent/log/disk.ts';

const SECTOR = 512;

class MemoryFile {
  now: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
}

export class CrashDisk implements Disk {
  readonly where = '/memory';
  /** Names as they are, and as the last folder sync left them. */
  #names = new Map<string, MemoryFile>();
  #durableNames = new Map<string, MemoryFile>();
  #pending: (() => void)[] = [];
  /** Set to make the next write, or every sync from now on, fail. */
  failWrite: Error | null = null;
  failSync: Error | null = null;
  syncs = 0;

  list(): string[] {
    return [...this.#names.keys()].sort();
  }

  open(name: string): DiskFile {
    const file = this.#names.get(name) ?? new MemoryFile();
    this.#names.set(name, file);
    return {
      write: (offset, bytes) => {
        if (this.failWrite !== null) throw this.failWrite;
        const grown = Buffer.alloc(Math.max(file.now.length, offset + bytes.length));
        file.now.copy(grown);
        grown.set(bytes, offset);
        file.now = grown;
      },
      read: (offset, length) => Buffer.from(file.now.subarray(offset, offset + length)),
      sync: (done) => {
        const written = Buffer.from(file.now);
        this.#ask(done, () => (file.durable = written));
      },
      size: () => file.now.length,
      close: () => undefined,
    };
  }

  rename(from: string, to: string): void {
    const file = this.#names.get(from);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' });
    this.#names.delete(from);
    this.#names.set(to, file);
  }

  remove(name: string): void {
    this.#names.delete(name);
  }

  syncFolder(done: Synced): void {
    const names = new Map(this.#names);
    this.#ask(done, () => (this.#durableNames = names));
  }

  /** How many syncs are under way. */
  get underWay(): number {
    return this.#pending.length;
  }

  /** Ends the oldest sync under way. */
  step(): void {
    this.#pending.shift()!();
  }

  /** Ends syncs until none is under way. */
  settle(): void {
    while (this.#pending.length > 0) this.step();
  }

  /** The disk after a power cut now: `keep` says, sector by sector and name by name, whether what was not synced survived. */
  crash(keep: () => boolean): CrashDisk {
    const after = new CrashDisk();
    const names = keep() ? this.#names : this.#durableNames;
    for (const [name, file] of names) {
      const copy = new MemoryFile();
      copy.now = survivors(file, keep);
      copy.durable = Buffer.from(copy.now);
      after.#names.set(name, copy);
      after.#durableNames.set(name, copy);
    }
    return after;
  }

  /** Flips one bit of a file, durably: what a failing disk does. */
  rot(name: string, offset: number): void {
    const file = this.#names.get(name)!;
    file.now[offset]! ^= 1;
  }

  /** A file's bytes as they are. */
  bytes(name: string): Buffer {
    return this.#names.get(name)!.now;
  }

  #ask(done: Synced, makeDurable: () => void): void {
    this.syncs++;
    const error = this.failSync;
    this.#pending.push(() => {
      if (error === null) makeDurable();
      done(error);
    });
  }
}

function survivors(file: MemoryFile, keep: () => boolean): Buffer {
  const length = keep() ? file.now.length : file.durable.length;
  const bytes = Buffer.alloc(length);
  const durable = Buffer.alloc(length);
  file.durable.copy(durable);
  for (let at = 0; at < length; at += SECTOR) {
    const end = Math.min(length, at + SECTOR);
    const isSame = file.now.subarray(at, end).equals(durable.subarray(at, end));
    (isSame || keep() ? file.now : durable).copy(bytes, at, at, end);
  }
  return bytes;
}
