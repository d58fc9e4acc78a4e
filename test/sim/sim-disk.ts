/**
 * A folder that loses what was not synced. Each file knows what is durable and which writes are not yet; the folder knows which of its names are. At a
 * crash any of the unsynced writes may be there, in whole or in part, and some first part of the unsynced changes of names.
 */
import type { Disk, DiskFile, Synced } from '../../src/swarm-agent/log/disk.ts';
import type { Random } from './random.ts';

/** Writes are torn between sectors. */
const SECTOR = 512;

interface Write {
  readonly offset: number;
  readonly bytes: Buffer;
}

class Inode {
  now: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  unsynced: Write[] = [];

  write(offset: number, bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    this.now = patched(this.now, { offset, bytes: copy });
    this.unsynced.push({ offset, bytes: copy });
  }

  settle(writes: readonly Write[]): void {
    for (const write of writes) this.durable = patched(this.durable, write);
    this.unsynced = this.unsynced.filter((write) => !writes.includes(write));
  }

  /** Keeps any of the writes, whole or torn. */
  tear(random: Random): void {
    for (const { offset, bytes } of this.unsynced) {
      if (random.chance(0.4)) continue;
      const sectors = Math.ceil(bytes.length / SECTOR);
      this.durable = patched(this.durable, { offset, bytes: random.chance(0.5) ? bytes : bytes.subarray(0, random.int(0, sectors) * SECTOR) });
    }
    this.unsynced = [];
    this.now = this.durable;
  }
}

function patched(file: Buffer, { offset, bytes }: Write): Buffer {
  const whole = Buffer.alloc(Math.max(file.length, offset + bytes.length));
  file.copy(whole);
  bytes.copy(whole, offset);
  return whole;
}

type Names = Map<string, Inode>;
type Change = (names: Names) => void;

export class SimDisk implements Disk {
  readonly where = '/sim';
  private names: Names = new Map();
  private durableNames: Names = new Map();
  private unsynced: Change[] = [];
  private readonly random: Random;
  /** Runs a sync's end later. */
  private readonly later: (run: () => void) => void;
  private readonly fails: () => boolean;
  private life = 0;

  constructor(random: Random, later: (run: () => void) => void, fails: () => boolean) {
    this.random = random;
    this.later = later;
    this.fails = fails;
  }

  list(): string[] { return [...this.names.keys()]; }

  open(name: string): DiskFile {
    let inode = this.names.get(name);
    if (inode === undefined) {
      const made = (inode = new Inode());
      this.change((names) => void names.set(name, made));
    }
    return this.file(inode);
  }

  rename(from: string, to: string): void {
    const inode = this.names.get(from);
    if (inode === undefined) throw new Error(`ENOENT: ${from}`);
    this.change((names) => {
      names.delete(from);
      names.set(to, inode);
    });
  }

  remove(name: string): void {
    if (this.names.has(name)) this.change((names) => void names.delete(name));
  }

  syncFolder(done: Synced): void {
    const changes = [...this.unsynced];
    this.end(done, () => {
      for (const change of changes) change(this.durableNames);
      this.unsynced = this.unsynced.filter((change) => !changes.includes(change));
    });
  }

  crash(): void {
    this.life += 1;
    for (const change of this.unsynced.slice(0, this.random.int(0, this.unsynced.length))) change(this.durableNames);
    this.unsynced = [];
    this.names = new Map(this.durableNames);
    for (const inode of new Set(this.names.values())) inode.tear(this.random);
  }

  private change(change: Change): void {
    change(this.names);
    this.unsynced.push(change);
  }

  private file(inode: Inode): DiskFile {
    return {
      write: (offset, bytes) => inode.write(offset, bytes),
      read: (offset, length) => Buffer.from(inode.now.subarray(offset, offset + length)),
      size: () => inode.now.length,
      close: () => {},
      sync: (done) => {
        const writes = [...inode.unsynced];
        this.end(done, () => inode.settle(writes));
      },
    };
  }

  /** Ends a sync, well or not, unless power goes first. */
  private end(done: Synced, settle: () => void): void {
    const { life } = this;
    this.later(() => {
      if (this.life !== life) return;
      if (this.fails()) return done(new Error('EIO: simulated'));
      settle();
      done(null);
    });
  }
}
