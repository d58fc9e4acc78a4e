import { describe, expect, test } from 'vitest';
import type { BeltError } from '../../../src/errors.ts';
import { SnapshotStore, contentDigest } from '../../../src/swarm-agent/log/snapshots.ts';
import type { SnapshotMeta, SnapshotPoint } from '../../../src/swarm-agent/raft/types.ts';
import { CrashDisk } from './crash-disk.ts';

const point = (index: number): SnapshotPoint => ({ index, term: 2, membership: { members: [{ id: 'a', voter: true, address: 'a:1' }] } });
const content = (index: number, bytes = 3_000): Buffer => Buffer.alloc(bytes, `state at ${index};`);

/** Saves a snapshot in pieces; null when it did not end. */
function save(store: SnapshotStore, disk: CrashDisk, index: number, settle = true): { meta: SnapshotMeta | null; error: BeltError | null } | null {
  const ended: { meta: SnapshotMeta | null; error: BeltError | null }[] = [];
  const bytes = content(index);
  store.save(point(index), [bytes.subarray(0, 1_000), bytes.subarray(1_000)].values(), (meta, error) => ended.push({ meta, error }));
  if (settle) disk.settle();
  expect(ended.length).toBeLessThan(2);
  return ended[0] ?? null;
}

describe('our own snapshots', () => {
  test('come back as they were saved, by piece and as a whole', () => {
    const disk = new CrashDisk();
    const { meta } = save(new SnapshotStore(disk), disk, 7)!;
    expect(meta).toEqual({ ...point(7), size: 3_000, digest: contentDigest(content(7)) });
    const again = new SnapshotStore(disk.crash(() => false));
    expect(again.newest).toEqual(meta);
    expect(again.content(meta!).equals(content(7))).toBe(true);
    expect(again.read(meta!, 2_990, 100)!.equals(content(7).subarray(2_990))).toBe(true);
    expect(again.read({ ...meta!, digest: 'other' }, 0, 10)).toBeNull();
  });

  test('are not there before all syncs have ended, and the one before still is, wherever the power goes', () => {
    for (const survives of [true, false]) {
      for (let steps = 0; steps < 3; steps++) {
        const disk = new CrashDisk();
        const store = new SnapshotStore(disk);
        save(store, disk, 7);
        expect(save(store, disk, 9, false)).toBeNull();
        for (let step = 0; step < steps && disk.underWay > 0; step++) disk.step();
        const newest = new SnapshotStore(disk.crash(() => survives)).newest!;
        expect([7, 9]).toContain(newest.index);
        if (steps === 0) expect(newest.index).toBe(7);
      }
    }
  });

  test('older than the one before the newest are removed', () => {
    const disk = new CrashDisk();
    const store = new SnapshotStore(disk);
    const metas = [3, 7, 9].map((index) => save(store, disk, index)!.meta!);
    expect(metas.map((meta) => store.read(meta, 0, 1) !== null)).toEqual([false, true, true]);
    expect(disk.list().length).toBe(2);
  });

  test('that do not fit on the disk are no failure of the member: the one before stays', () => {
    const disk = new CrashDisk();
    const store = new SnapshotStore(disk);
    save(store, disk, 7);
    disk.failWrite = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    expect(save(store, disk, 9)).toMatchObject({ meta: null, error: { code: 'disk' } });
    disk.failWrite = null;
    expect([store.newest!.index, disk.list().length]).toEqual([7, 1]);
    expect(save(store, disk, 11)!.meta!.index).toBe(11);
  });

  test('that are damaged stop the member and say where', () => {
    for (const offset of [5, 3_010]) {
      const disk = new CrashDisk();
      save(new SnapshotStore(disk), disk, 7);
      disk.rot(disk.list()[0]!, offset);
      expect(() => new SnapshotStore(disk)).toThrow(expect.objectContaining({ code: 'log_corrupt', message: expect.stringContaining('snapshot-00000000000007'), next: expect.stringContaining('belt swarm') }));
    }
  });
});

describe('snapshots received', () => {
  const meta: SnapshotMeta = { ...point(20), size: 3_000, digest: contentDigest(content(20)) };

  /** Hands over pieces of `bytes` from `from` on; tells how it ended, null when it did not. */
  function receive(store: SnapshotStore, disk: CrashDisk, bytes: Buffer, from: number, to = bytes.length): boolean | null {
    let ended: boolean | null = null;
    for (let offset = from; offset < to; offset += 500) {
      store.receive({ meta, offset, data: bytes.subarray(offset, offset + 500), last: offset + 500 >= bytes.length }, (ok) => (ended = ok));
    }
    disk.settle();
    return ended;
  }

  test('are stored under their name, the same bytes', () => {
    const disk = new CrashDisk();
    const store = new SnapshotStore(disk);
    expect(receive(store, disk, content(20), 0)).toBe(true);
    const again = new SnapshotStore(disk.crash(() => false));
    expect(again.newest).toEqual(meta);
    expect(again.content(meta).equals(content(20))).toBe(true);
  });

  test('go on where the transfer was cut', () => {
    let disk = new CrashDisk();
    expect(receive(new SnapshotStore(disk), disk, content(20), 0, 1_500)).toBeNull();
    disk = disk.crash(() => true);
    const store = new SnapshotStore(disk);
    expect(store.partial).toEqual({ digest: meta.digest, bytes: 1_500 });
    expect(receive(store, disk, content(20), 1_500)).toBe(true);
  });

  test('that arrive damaged are thrown away, and another try begins anew', () => {
    const disk = new CrashDisk();
    const store = new SnapshotStore(disk);
    const damaged = Buffer.from(content(20));
    damaged[1_234]! ^= 1;
    expect(receive(store, disk, damaged, 0)).toBe(false);
    expect([store.newest, store.partial, disk.list()]).toEqual([null, null, []]);
    expect(receive(store, disk, content(20), 0)).toBe(true);
  });

  test('give way to a newer one', () => {
    const disk = new CrashDisk();
    const store = new SnapshotStore(disk);
    receive(store, disk, content(20), 0, 1_000);
    const newer = { ...point(30), size: 10, digest: contentDigest(content(30, 10)) };
    let ended = false;
    store.receive({ meta: newer, offset: 0, data: content(30, 10), last: true }, (ok) => (ended = ok));
    disk.settle();
    expect([ended, store.newest, disk.list().length]).toEqual([true, newer, 1]);
  });
});
