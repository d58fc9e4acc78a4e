/** A real folder as a {@link Disk}: mode 0700, files 0600. */
import { closeSync, constants, fdatasync, fstatSync, fsync, mkdirSync, openSync, readSync, readdirSync, renameSync, rmSync, write, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Disk, DiskFile, Synced } from './disk.ts';

/** Synced writes of up to so many bytes, an entry or two, are made on the spot: to hand one to a thread and back takes longer than a quick disk does. */
const SPOT_BYTES_MAX = 1024;
/** After one that took longer than so many ms, so many go to the thread pool: the process must not stand still for a disk that is slow or hangs. */
const SPOT_MS_MAX = 2;
const SPOT_PAUSE = 4;

export class NodeDisk implements Disk {
  readonly where: string;
  readonly #folder: number;
  readonly #spot: Spot;

  /** Opens (and makes, if need be) the folder at `path`. `spotBytesMax`: the largest write that is made on the spot; 0: none is. */
  constructor(path: string, spotBytesMax = SPOT_BYTES_MAX) {
    this.where = path;
    this.#spot = new Spot(spotBytesMax);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.#folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  list(): string[] {
    return readdirSync(this.where).sort();
  }

  open(name: string): DiskFile {
    return new NodeDiskFile(join(this.where, name), this.#spot);
  }

  rename(from: string, to: string): void {
    renameSync(join(this.where, from), join(this.where, to));
  }

  remove(name: string): void {
    rmSync(join(this.where, name), { force: true });
  }

  syncFolder(done: Synced): void {
    fsync(this.#folder, (error) => done(error));
  }

  /** Closes the folder; files opened through it stay open. */
  close(): void {
    closeSync(this.#folder);
  }
}

/** Which synced writes of a folder are made on the spot. Pure: how long they took is told. */
export class Spot {
  readonly #bytesMax: number;
  /** Writes that go to the thread pool before one is tried on the spot again. */
  #pause = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  takes(bytes: number): boolean {
    if (bytes > this.#bytesMax) return false;
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  took(ms: number): void {
    if (ms > SPOT_MS_MAX) this.#pause = SPOT_PAUSE;
  }
}

/** Bytes for a place in the file. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A write is kept back until it is synced, so that both are one synchronous write (O_DSYNC). It goes to the thread pool, for it can take as long as the
 * file system's journal is busy; a small one is made on the spot while the disk is quick.
 */
class NodeDiskFile implements DiskFile {
  readonly #spot: Spot;
  readonly #fd: number;
  /** The same file, opened for synchronous writes. */
  readonly #syncedFd: number;
  /** Written by the caller, not yet to the file. */
  #kept: Piece | null = null;
  /** With the thread pool now; the file may or may not hold it yet. */
  #leaving: Piece | null = null;
  /** The file holds writes that no sync has covered. */
  #isDirty = false;
  #underWay = 0;
  #isClosed = false;

  constructor(path: string, spot: Spot) {
    this.#spot = spot;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#syncedFd = openSync(path, constants.O_RDWR | constants.O_DSYNC);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#flush();
    this.#kept = { offset, bytes };
  }

  read(offset: number, length: number): Buffer {
    this.#flush();
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.size() - offset)));
    let done = 0;
    while (done < bytes.length) {
      const got = readSync(this.#fd, bytes, done, bytes.length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
    if (this.#leaving !== null) overlay(bytes, offset, this.#leaving);
    return bytes;
  }

  sync(done: Synced): void {
    const kept = this.#kept;
    // A synchronous write covers itself alone.
    if (kept !== null && !this.#isDirty && this.#leaving === null) {
      this.#kept = null;
      return this.#spot.takes(kept.bytes.length) ? this.#writeHere(kept, done) : this.#writeSynced(kept, done);
    }
    try {
      this.#flush();
    } catch (error) {
      setImmediate(() => done(error as Error));
      return;
    }
    this.#isDirty = false;
    this.#underWay++;
    fdatasync(this.#fd, (error) => this.#ended(done, error));
  }

  size(): number {
    this.#flush();
    return Math.max(fstatSync(this.#fd).size, this.#leaving === null ? 0 : this.#leaving.offset + this.#leaving.bytes.length);
  }

  /** The descriptors stay until no write is under way: a descriptor used again too early would send that write to another file. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#flush();
    } catch {
      // What was never synced was promised to nobody; whoever closes because the disk is full must come to its end.
    }
    this.#closeWhenIdle();
  }

  #writeHere({ offset, bytes }: Piece, done: Synced): void {
    const began = performance.now();
    let failure: Error | null = null;
    try {
      writeWhole(this.#syncedFd, offset, bytes);
    } catch (error) {
      failure = error as Error;
    }
    this.#spot.took(performance.now() - began);
    process.nextTick(done, failure);
  }

  #writeSynced(piece: Piece, done: Synced): void {
    const { offset, bytes } = piece;
    this.#leaving = piece;
    this.#underWay++;
    write(this.#syncedFd, bytes, 0, bytes.length, offset, (error, written) => {
      this.#leaving = null;
      if (error !== null || written === bytes.length) return this.#ended(done, error);
      this.#underWay--;
      this.#writeSynced({ offset: offset + written, bytes: bytes.subarray(written) }, done);
    });
  }

  #ended(done: Synced, error: Error | null): void {
    this.#underWay--;
    if (this.#isClosed) this.#closeWhenIdle();
    done(error);
  }

  #flush(): void {
    if (this.#kept === null) return;
    const { offset, bytes } = this.#kept;
    this.#kept = null;
    this.#isDirty = true;
    writeWhole(this.#fd, offset, bytes);
  }

  #closeWhenIdle(): void {
    if (this.#underWay > 0) return;
    closeSync(this.#fd);
    closeSync(this.#syncedFd);
  }
}

function writeWhole(fd: number, offset: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

/** Puts what of `piece` falls into the `target` that was read at `offset` over it. */
function overlay(target: Buffer, offset: number, piece: Piece): void {
  const from = Math.max(offset, piece.offset);
  const to = Math.min(offset + target.length, piece.offset + piece.bytes.length);
  if (from < to) target.set(piece.bytes.subarray(from - piece.offset, to - piece.offset), from - offset);
}
