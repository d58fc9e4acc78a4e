/** A real folder as a {@link Disk}: mode 0700, files 0600. */
import { closeSync, constants, fdatasync, fstatSync, fsync, mkdirSync, openSync, readSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
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
    return new NodeDiskFile(openSync(join(this.where, name), constants.O_RDWR | constants.O_CREAT, 0o600));
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

class NodeDiskFile implements DiskFile {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Synchronous on purpose: it only copies into the page cache, a trip through the thread pool costs more. */
  write(offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#fd, bytes, done, bytes.length - done, offset + done);
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const got = readSync(this.#fd, bytes, done, length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
    return bytes.subarray(0, done);
  }

  sync(done: Synced): void {
    fdatasync(this.#fd, (error) => done(error));
  }

  size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Closing twice is harmless. */
  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }
}
