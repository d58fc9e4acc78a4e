import fc from '../../property.ts';
import { describe, expect, test } from 'vitest';
import { isBeltError, type BeltError } from '../../../src/errors.ts';
import { RaftLog, type OpenedLog } from '../../../src/swarm-agent/log/raft-log.ts';
import { segmentName } from '../../../src/swarm-agent/log/segment.ts';
import type { Entry, Persist, Vote } from '../../../src/swarm-agent/raft/types.ts';
import { CrashDisk } from './crash-disk.ts';

const SEGMENT = 4096;

function entry(index: number, term: number, bytes = 20): Entry {
  return { index, term, kind: 'command', data: Buffer.alloc(bytes, `${index}/${term};`) };
}

function entries(first: number, last: number, term: number, bytes = 20): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, i) => entry(first + i, term, bytes));
}

function persist(seq: number, parts: Partial<Persist>): Persist {
  return { seq, vote: null, reset: null, entries: [], ...parts };
}

/** A log on `disk` that notes what it reports. */
function open(disk: CrashDisk, segmentBytes = SEGMENT): OpenedLog & { durable: number[]; failures: BeltError[] } {
  const durable: number[] = [];
  const failures: BeltError[] = [];
  const opened = RaftLog.open({ disk, segmentBytes, onDurable: (seq) => durable.push(seq), onFailed: (error) => failures.push(error) });
  return { ...opened, durable, failures };
}

/** The log's entries as `index/term`. */
function shape(list: readonly Entry[]): string {
  return list.map(({ index, term }) => `${index}/${term}`).join(' ');
}

function damage(work: () => unknown): BeltError {
  try {
    work();
  } catch (error) {
    if (isBeltError(error, 'log_corrupt')) return error;
    throw error;
  }
  throw new Error('the damage was not noticed');
}

describe('group commit', () => {
  test('a write is reported only after its sync, and all that waits shares the next one', () => {
    const disk = new CrashDisk();
    const { log, durable } = open(disk);
    disk.settle();
    log.append(persist(1, { entries: entries(1, 1, 1) }));
    disk.settle();
    const before = disk.syncs;
    log.append(persist(2, { entries: entries(2, 2, 1) }));
    for (let seq = 3; seq <= 50; seq++) log.append(persist(seq, { entries: entries(seq, seq, 1) }));
    expect(durable).toEqual([1]);
    expect(disk.underWay).toBe(1);
    disk.step();
    expect(durable).toEqual([1, 2]);
    disk.step();
    expect(durable).toEqual([1, 2, 50]);
    expect(disk.syncs - before).toBe(2);
  });

  test('a failed sync is final: nothing waiting is reported, nothing more is written', () => {
    const disk = new CrashDisk();
    const { log, durable, failures } = open(disk);
    log.append(persist(1, { entries: entries(1, 1, 1) }));
    disk.settle();
    disk.failSync = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    log.append(persist(2, { entries: entries(2, 2, 1) }));
    log.append(persist(3, { entries: entries(3, 3, 1) }));
    disk.settle();
    disk.failSync = null;
    log.append(persist(4, { entries: entries(4, 4, 1) }));
    disk.settle();
    expect(durable).toEqual([1]);
    expect(failures.map(({ code }) => code)).toEqual(['disk']);
  });

  test('a full disk says so and what to do', () => {
    const disk = new CrashDisk();
    const { log, durable, failures } = open(disk);
    log.append(persist(1, { entries: entries(1, 1, 1) }));
    disk.settle();
    disk.failWrite = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    log.append(persist(2, { entries: entries(2, 2, 1) }));
    expect(durable).toEqual([1]);
    expect(failures[0]).toMatchObject({ code: 'disk', message: expect.stringContaining('ENOSPC'), next: expect.stringContaining('make room') });
  });
});

describe('opening again', () => {
  test('votes, entries, cut suffixes and resets come back as they were left', () => {
    const disk = new CrashDisk();
    const { log } = open(disk);
    log.append(persist(1, { vote: { term: 1, votedFor: 'a' }, entries: entries(1, 9, 1) }));
    log.append(persist(2, { entries: entries(6, 7, 2) }));
    log.append(persist(3, { vote: { term: 3, votedFor: null } }));
    disk.settle();
    const again = open(disk.crash(() => false));
    expect(again.vote).toEqual({ term: 3, votedFor: null });
    expect(shape(again.entries)).toBe('1/1 2/1 3/1 4/1 5/1 6/2 7/2');
    expect(again.entries[5]).toEqual(entry(6, 2));
  });

  test('a reset begins the log anew behind a snapshot', () => {
    const disk = new CrashDisk();
    const { log } = open(disk);
    log.append(persist(1, { entries: entries(1, 5, 1) }));
    log.append(persist(2, { reset: { index: 90, term: 4 }, entries: entries(91, 92, 4) }));
    disk.settle();
    const again = open(disk.crash(() => false));
    expect(shape(again.entries)).toBe('91/4 92/4');
    expect(again.reset).toEqual({ index: 90, term: 4 });
  });

  test('writing goes on in the same segment after a clean end, and in a new one after a torn one', () => {
    const disk = new CrashDisk();
    const first = open(disk);
    first.log.append(persist(1, { entries: entries(1, 3, 1) }));
    disk.settle();
    let after = disk.crash(() => false);
    const second = open(after);
    second.log.append(persist(1, { entries: entries(4, 4, 1, 1500) }));
    after.settle();
    second.log.append(persist(2, { entries: entries(5, 5, 1, 1500) }));
    let sector = 0;
    after = after.crash(() => sector++ % 2 === 0);
    const third = open(after);
    expect(shape(third.entries)).toBe('1/1 2/1 3/1 4/1');
    expect(third.torn?.name).toBe(segmentName(1));
    third.log.append(persist(1, { entries: entries(5, 5, 2) }));
    after.settle();
    expect(after.list()).toContain(segmentName(2));
    expect(shape(open(after.crash(() => false)).entries)).toBe('1/1 2/1 3/1 4/1 5/2');
  });
});

describe('damage', () => {
  function written(): CrashDisk {
    const disk = new CrashDisk();
    const { log } = open(disk);
    for (let seq = 1; seq <= 12; seq++) {
      log.append(persist(seq, { entries: entries(seq, seq, 1, 700) }));
      disk.settle();
    }
    return disk.crash(() => false);
  }

  test('in the middle stops the member, naming file, byte and the way out', () => {
    const disk = written();
    disk.rot(segmentName(1), 200);
    const error = damage(() => open(disk));
    expect(error.message).toMatch(/log-0+1 is damaged at byte 64: .*good ones after it/);
    expect(error.next).toContain('belt swarm');
  });

  test('of the last record that was written whole is not taken for a torn write', () => {
    const disk = written();
    const last = disk.list().filter((name) => name.startsWith('log-0')).at(-1)!;
    const bytes = disk.bytes(last);
    disk.rot(last, bytes.lastIndexOf('12/1;'));
    expect(damage(() => open(disk)).message).toContain('has changed since');
  });

  test('of a header, a missing segment, a segment of another number', () => {
    const headless = written();
    headless.rot(segmentName(2), 3);
    expect(damage(() => open(headless)).message).toContain('the header is wrong');
    const missing = written();
    missing.remove(segmentName(2));
    expect(damage(() => open(missing)).message).toContain('segment 2 is missing');
    const renamed = written();
    renamed.rename(segmentName(3), segmentName(2));
    expect(damage(() => open(renamed)).message).toContain('the header is wrong');
  });

  test('any flipped bit in what was written is refused or changes nothing that was acknowledged', () => {
    const whole = shape(open(written()).entries);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: SEGMENT - 1 }), (segment, offset) => {
        const disk = written();
        disk.rot(segmentName(segment + 1), offset);
        try {
          expect(shape(open(disk).entries)).toBe(whole);
        } catch (error) {
          if (!isBeltError(error, 'log_corrupt')) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('reading back and compaction', () => {
  test('entries are read by index across segments, the newest where one was replaced', () => {
    const disk = new CrashDisk();
    const { log } = open(disk);
    for (let seq = 1; seq <= 40; seq++) {
      log.append(persist(seq, { entries: entries(seq, seq, 1, 300) }));
      if (seq % 3 === 0) disk.settle();
    }
    log.append(persist(41, { entries: entries(35, 36, 2, 300) }));
    disk.settle();
    expect(shape(log.read(30, 1e6)!)).toBe('30/1 31/1 32/1 33/1 34/1 35/2 36/2');
    expect(shape(log.read(1, 900)!)).toBe('1/1 2/1 3/1');
    expect(shape(log.read(20, 1)!)).toBe('20/1 21/1');
    expect(log.read(37, 1)).toBeNull();
    expect(shape(open(disk.crash(() => false)).log.read(30, 1e6)!)).toBe('30/1 31/1 32/1 33/1 34/1 35/2 36/2');
  });

  test('whole segments below the index go, the vote stays, disk use is bounded', () => {
    const disk = new CrashDisk();
    const { log } = open(disk);
    log.append(persist(1, { vote: { term: 7, votedFor: 'b' } }));
    for (let seq = 2; seq <= 400; seq++) {
      log.append(persist(seq, { entries: entries(seq - 1, seq - 1, 7, 300) }));
      disk.settle();
      if (seq % 20 === 0) log.compact(seq - 5);
      expect(log.stats().segments).toBeLessThanOrEqual(5);
    }
    expect(log.read(1, 1)).toBeNull();
    const again = open(disk.crash(() => false));
    expect(again.vote).toEqual({ term: 7, votedFor: 'b' });
    expect(again.entries[0]!.index).toBeLessThanOrEqual(395);
    expect(again.entries.at(-1)!.index).toBe(399);
  });

  test('a record larger than a segment has one of its own', () => {
    const disk = new CrashDisk();
    const { log, durable } = open(disk);
    log.append(persist(1, { entries: entries(1, 1, 1) }));
    disk.settle();
    log.append(persist(2, { entries: entries(2, 2, 1, 3 * SEGMENT) }));
    disk.settle();
    log.append(persist(3, { entries: entries(3, 3, 1) }));
    disk.settle();
    expect(durable).toEqual([1, 2, 3]);
    expect(shape(open(disk.crash(() => false)).entries)).toBe('1/1 2/1 3/1');
  });
});

/** What the log is for: whatever was reported durable is there after any crash, and nothing that was never written. */
test('a power cut at any moment loses nothing that was reported durable', () => {
  const write = fc.record({ bytes: fc.integer({ min: 0, max: 1200 }), back: fc.integer({ min: 0, max: 3 }), steps: fc.integer({ min: 0, max: 4 }), count: fc.integer({ min: 1, max: 4 }), votes: fc.boolean() });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 25 }), fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (writes, survival) => {
      const disk = new CrashDisk();
      const { log, durable } = open(disk);
      /** The log's content after each write, and the vote. */
      const states: { shape: string; vote: Vote }[] = [{ shape: '', vote: { term: 0, votedFor: null } }];
      let content: Entry[] = [];
      let vote: Vote = { term: 0, votedFor: null };
      writes.forEach(({ bytes, back, steps, count, votes }, i) => {
        const first = Math.max(1, content.length + 1 - back);
        const added = entries(first, first + count - 1, i + 1, bytes);
        content = [...content.slice(0, first - 1), ...added];
        if (votes) vote = { term: i + 1, votedFor: `m${i}` };
        log.append(persist(i + 1, { vote: votes ? vote : null, entries: added }));
        states.push({ shape: shape(content), vote });
        for (let step = 0; step < steps && disk.underWay > 0; step++) disk.step();
      });
      let drawn = 0;
      const crashed = disk.crash(() => survival[drawn++ % survival.length]!);
      const again = open(crashed);
      const found = states.findIndex((state) => state.shape === shape(again.entries) && JSON.stringify(state.vote) === JSON.stringify(again.vote));
      expect(found).toBeGreaterThanOrEqual(durable.at(-1) ?? 0);
      again.log.append(persist(1, { entries: entries(again.entries.length + 1, again.entries.length + 1, 99) }));
      crashed.settle();
      expect(again.durable).toEqual([1]);
      expect(open(crashed.crash(() => false)).entries.at(-1)?.term).toBe(99);
    }),
    { numRuns: 400 },
  );
});
