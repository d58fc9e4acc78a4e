import fc from '../property.ts';
import { expect, test } from 'vitest';
import { RaftLog } from '../../src/swarm-agent/raft/log.ts';
import type { Entry } from '../../src/swarm-agent/raft/types.ts';

const entry = (index: number, term: number, bytes = 1): Entry => ({ index, term, kind: 'command', data: new Uint8Array(bytes) });

/** The same log, as simple as can be: all entries, and from where on they are in memory. */
class PlainLog {
  entries: Entry[] = [];
  base = { index: 0, term: 0 };
  get last(): number { return this.base.index + this.entries.length; }
  term(index: number): number | undefined { return index === this.base.index ? this.base.term : this.entries.find((known) => known.index === index)?.term; }
}

test('agrees with a plain array under random appends, truncations, trims and resets', () => {
  const step = fc.record({ kind: fc.constantFrom('append', 'append', 'append', 'truncate', 'trim', 'reset'), size: fc.nat(20), newTerm: fc.boolean() });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const log = new RaftLog({ index: 0, term: 0 }, []);
    const plain = new PlainLog();
    let term = 1;
    for (const { kind, size, newTerm } of steps) {
      if (newTerm) term += 1;
      const at = plain.base.index + 1 + Math.min(size, plain.entries.length);
      if (kind === 'append') {
        const entries = Array.from({ length: size }, (_, offset) => entry(plain.last + 1 + offset, term));
        log.append(entries);
        plain.entries.push(...entries);
      } else if (kind === 'truncate' && at <= plain.last) {
        log.truncate(at);
        plain.entries = plain.entries.filter(({ index }) => index < at);
      } else if (kind === 'trim' && at <= plain.last) {
        log.trim(at, 0);
        plain.base = { index: at, term: plain.term(at)! };
        plain.entries = plain.entries.filter(({ index }) => index > at);
      } else if (kind === 'reset') {
        plain.base = { index: plain.last + size, term };
        plain.entries = [];
        log.reset(plain.base.index, term);
      }
      expect([log.lastIndex, log.lastTerm, log.firstInMemory]).toEqual([plain.last, plain.term(plain.last), plain.base.index + 1]);
      for (let index = plain.base.index - 2; index <= plain.last + 2; index += 1) expect(log.term(index)).toBe(plain.term(index));
      expect(log.slice(log.firstInMemory, log.lastIndex)).toEqual(plain.entries);
      for (const { index, term: own } of plain.entries) {
        expect(log.firstOfTermAt(index)).toBe(plain.entries.find((other) => other.term === own)!.index);
        expect(log.lastOfTerm(own)).toBe(plain.entries.findLast((other) => other.term === own)!.index);
      }
      expect(log.lastOfTerm(term + 1)).toBeUndefined();
    }
  }), { numRuns: 200, seed: 1 });
});

test('a slice stops at its bytes, but gives one entry at least', () => {
  const log = new RaftLog({ index: 4, term: 1 }, [entry(5, 2, 10), entry(6, 2, 10), entry(7, 3, 10)]);
  const indexes = (bytesMax: number): number[] => log.slice(5, 7, bytesMax).map(({ index }) => index);
  expect([indexes(0), indexes(10), indexes(20), indexes(29), indexes(30)]).toEqual([[5], [5], [5, 6], [5, 6], [5, 6, 7]]);
});

test('refuses gaps and falling terms', () => {
  const log = new RaftLog({ index: 0, term: 0 }, [entry(1, 3)]);
  expect(() => log.append([entry(3, 3)])).toThrow(/entry 3 follows 1/);
  expect(() => log.append([entry(2, 2)])).toThrow(/term 2 at 2 follows term 3/);
});
