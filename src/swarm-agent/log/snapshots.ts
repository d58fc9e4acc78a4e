/**
 * Snapshots on disk. The content stands at the start of the file, so that a chunk received for an offset is written at that offset;
 * behind it come the description (JSON), its length and checksum, and a magic number. A snapshot is written aside, synced and renamed: one that
 * has its name is complete. The two newest are kept, the older one for followers that are in the middle of it.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { BeltError } from '../../errors.ts';
import type { SnapshotMeta, SnapshotPoint, SnapshotWrite } from '../raft/types.ts';
import type { Disk, DiskFile } from './disk.ts';
import { diskError, readWhole } from './raft-log.ts';
import { corrupt } from './recovery.ts';

const MAGIC = Buffer.from('BELTSNAP');
const FOOTER_BYTES = 16;
const SAVING = 'snapshot-saving';
const RECEIVING = /^snapshot-partial-([0-9a-f]{64})$/;
const COMPLETE = /^snapshot-[0-9a-f]{14}-[0-9a-f]{14}$/;
const KEPT = 2;
/** Written between two syncs, so that a large snapshot neither blocks the process nor holds up the log's syncs for long. */
const SYNC_BYTES = 1024 * 1024;

/** Told how saving ended: the snapshot as it is now on disk, or why it could not be written. */
export type Saved = (meta: SnapshotMeta | null, error: BeltError | null) => void;

/** The digest of a snapshot's content: SHA-256, lower-case hex. */
export function contentDigest(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

export class SnapshotStore {
  readonly #disk: Disk;
  /** Newest first. */
  readonly #complete: SnapshotMeta[] = [];
  #partial: { digest: string; file: DiskFile } | null = null;
  #saving = false;

  /** Finds what the folder holds and checks the newest snapshot. Throws `BeltError('log_corrupt')` when it is damaged, `BeltError('disk')` when it cannot be read. */
  constructor(disk: Disk) {
    this.#disk = disk;
    try {
      this.#discover();
    } catch (error) {
      throw diskError(disk, error);
    }
  }

  /** The newest complete snapshot. */
  get newest(): SnapshotMeta | null {
    return this.#complete[0] ?? null;
  }

  /** The transfer that was cut, and how many bytes of it are aside. */
  get partial(): { digest: string; bytes: number } | null {
    return this.#partial === null ? null : { digest: this.#partial.digest, bytes: this.#partial.file.size() };
  }

  /** The whole content of a snapshot this store holds, checked against its digest. Throws `BeltError('log_corrupt')`. */
  content(meta: SnapshotMeta): Buffer {
    const name = snapshotName(meta);
    const content = readWhole(this.#disk, name).subarray(0, meta.size);
    if (contentDigest(content) !== meta.digest) throw corrupt(this.#disk.where, name, 0, 'the content does not have the digest that was written with it');
    return content;
  }

  /** A piece of a snapshot; null when it is gone. */
  read(meta: SnapshotMeta, offset: number, bytesMax: number): Buffer | null {
    if (!this.#complete.some(({ index, digest }) => index === meta.index && digest === meta.digest)) return null;
    const file = this.#disk.open(snapshotName(meta));
    try {
      return file.read(offset, Math.min(bytesMax, meta.size - offset));
    } catch {
      return null;
    } finally {
      file.close();
    }
  }

  /** Writes a snapshot of our own, piece by piece, with a sync after every {@link SYNC_BYTES}. One at a time. */
  save(point: SnapshotPoint, content: Iterator<Buffer, void>, saved: Saved): void {
    if (this.#saving) return saved(null, null);
    this.#saving = true;
    let file: DiskFile | null = null;
    const done: Saved = (meta, error) => {
      this.#saving = false;
      file?.close();
      if (error !== null) this.#discard(SAVING);
      saved(meta, error);
    };
    try {
      this.#disk.remove(SAVING);
      file = this.#disk.open(SAVING);
      this.#saveOn({ point, content, done, file, hash: createHash('sha256'), size: 0 });
    } catch (error) {
      done(null, diskError(this.#disk, error));
    }
  }

  /** Writes a piece that was received. After the last one `stored` tells whether the whole is durable under its name; false: it was damaged and thrown away. */
  receive({ meta, offset, data, last }: SnapshotWrite, stored: (ok: boolean, error: BeltError | null) => void): void {
    try {
      if (offset === 0 || this.#partial?.digest !== meta.digest) this.#beginPartial(meta.digest);
      const { file } = this.#partial!;
      file.write(offset, data);
      if (last) this.#finishPartial(meta, file, stored);
    } catch (error) {
      stored(false, diskError(this.#disk, error));
    }
  }

  close(): void {
    this.#partial?.file.close();
    this.#partial = null;
  }

  #discover(): void {
    for (const name of this.#disk.list()) {
      const partial = RECEIVING.exec(name);
      if (name === SAVING) this.#disk.remove(name);
      else if (partial !== null && this.#partial === null) this.#partial = { digest: partial[1]!, file: this.#disk.open(name) };
      else if (partial !== null) this.#disk.remove(name);
      else if (COMPLETE.test(name)) this.#complete.unshift(this.#describe(name));
    }
    if (this.#complete.length > 0) this.content(this.#complete[0]!);
    this.#prune();
  }

  #describe(name: string): SnapshotMeta {
    const bytes = readWhole(this.#disk, name);
    const footer = bytes.length - FOOTER_BYTES;
    if (footer < 0 || !bytes.subarray(footer + 8).equals(MAGIC)) throw corrupt(this.#disk.where, name, Math.max(0, footer), 'the snapshot does not end as one');
    const start = footer - bytes.readUInt32LE(footer);
    const description = bytes.subarray(Math.max(0, start), footer);
    if (start < 0 || crc32(description) !== bytes.readUInt32LE(footer + 4)) throw corrupt(this.#disk.where, name, footer, 'the description of the snapshot is damaged');
    return JSON.parse(description.toString()) as SnapshotMeta;
  }

  #saveOn(work: Saving): void {
    let sinceSync = 0;
    for (let next = work.content.next(); !next.done; next = work.content.next()) {
      work.file.write(work.size, next.value);
      work.hash.update(next.value);
      work.size += next.value.length;
      sinceSync += next.value.length;
      if (sinceSync >= SYNC_BYTES) return work.file.sync((error) => this.#guard(error, work.done, () => this.#saveOn(work)));
    }
    const meta = { ...work.point, size: work.size, digest: work.hash.digest('hex') };
    this.#name(SAVING, meta, work.file, work.done);
  }

  /** Adds the description, syncs, renames, syncs the folder. */
  #name(from: string, meta: SnapshotMeta, file: DiskFile, done: Saved): void {
    file.write(meta.size, footerOf(meta));
    file.sync((error) => this.#guard(error, done, () => {
      file.close();
      this.#disk.rename(from, snapshotName(meta));
      this.#disk.syncFolder((error) => this.#guard(error, done, () => {
        this.#complete.unshift(meta);
        this.#complete.sort((a, b) => b.index - a.index);
        this.#prune();
        done(meta, null);
      }));
    }));
  }

  #beginPartial(digest: string): void {
    if (this.#partial !== null) {
      this.#partial.file.close();
      this.#disk.remove(partialName(this.#partial.digest));
    }
    this.#disk.remove(partialName(digest));
    this.#partial = { digest, file: this.#disk.open(partialName(digest)) };
  }

  #finishPartial(meta: SnapshotMeta, file: DiskFile, stored: (ok: boolean, error: BeltError | null) => void): void {
    this.#partial = null;
    if (file.size() !== meta.size || contentDigest(file.read(0, meta.size)) !== meta.digest) {
      file.close();
      this.#disk.remove(partialName(meta.digest));
      return stored(false, null);
    }
    this.#name(partialName(meta.digest), meta, file, (saved, error) => stored(saved !== null, error));
  }

  /** Gives the room back. Where even that fails, the next start does it. */
  #discard(name: string): void {
    try {
      this.#disk.remove(name);
    } catch {
      // The failure that led here is the one to tell.
    }
  }

  #prune(): void {
    for (const old of this.#complete.splice(KEPT)) this.#disk.remove(snapshotName(old));
  }

  #guard(error: Error | null, done: Saved, then: () => void): void {
    try {
      if (error !== null) throw error;
      then();
    } catch (thrown) {
      done(null, diskError(this.#disk, thrown));
    }
  }
}

interface Saving {
  readonly point: SnapshotPoint;
  readonly content: Iterator<Buffer, void>;
  readonly done: Saved;
  readonly file: DiskFile;
  readonly hash: ReturnType<typeof createHash>;
  size: number;
}

function snapshotName({ index, term }: SnapshotPoint): string {
  return `snapshot-${index.toString(16).padStart(14, '0')}-${term.toString(16).padStart(14, '0')}`;
}

function partialName(digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new Error('a snapshot without a SHA-256 digest arrived');
  return `snapshot-partial-${digest}`;
}

function footerOf(meta: SnapshotMeta): Buffer {
  const description = Buffer.from(JSON.stringify(meta));
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.writeUInt32LE(description.length, 0);
  footer.writeUInt32LE(crc32(description), 4);
  MAGIC.copy(footer, 8);
  return Buffer.concat([description, footer]);
}
