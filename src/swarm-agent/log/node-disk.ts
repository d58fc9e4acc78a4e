/** A real folder as a {@link Disk}: mode 0700, files 0600. */
import { closeSync, constants, fdatasync, fstatSync, fsync, mkdirSync, openSync, readSync, readdirSync, renameSync, rmSync, write, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Disk, DiskFile, Synced } from './disk.ts';

/** Opens (and makes, if need be) the folder at `path`. */
export class NodeDisk implements Disk {
  readonly where: string;
  readonly #folder: number;

  constructor(path: string) {
    this.where = path;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.#folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  list(): string[] {
    return readdirSync(this.where).sort();
  }

  open(name: string): DiskFile {
    return new NodeDiskFile(join(this.where, name));
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

/** Bytes for a place in the file. */
interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A write is kept back until it is synced, so that both go to the thread pool as one synchronous write (O_DSYNC): a write to the page cache
 * can block for as long as the file system's journal is busy, and the process has other things to do.
 */
class NodeDiskFile implements DiskFile {
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

  constructor(path: string) {
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
      return this.#writeSynced(kept, done);
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
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
  }

  #closeWhenIdle(): void {
    if (this.#underWay > 0) return;
    closeSync(this.#fd);
    closeSync(this.#syncedFd);
  }
}

/** Puts what of `piece` falls into the `target` that was read at `offset` over it. */
function overlay(target: Buffer, offset: number, piece: Piece): void {
  const from = Math.max(offset, piece.offset);
  const to = Math.min(offset + target.length, piece.offset + piece.bytes.length);
  if (from < to) target.set(piece.bytes.subarray(from - piece.offset, to - piece.offset), from - offset);
}
