/** The order in which machines are shown. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { compareNames } from '../../src/provision/fleet.ts';

describe('compareNames', () => {
  it('puts node2 before node10 and padded numbers by value', () => {
    expect(['node10', 'node2', 'mg0', 'node02', 'node', 'node-1', 'node1', 'dc2-n1', 'dc1-n10', 'dc1-n9'].toSorted(compareNames)).toEqual(
      ['dc1-n9', 'dc1-n10', 'dc2-n1', 'mg0', 'node', 'node-1', 'node1', 'node02', 'node2', 'node10'],
    );
  });

  it('is the order of a numeric collator for everything a name may be', () => {
    const collator = new Intl.Collator('en', { numeric: true });
    const name = fc.stringMatching(/^[a-c0-3]([a-c0-3-]{0,8}[a-c0-3])?$/);
    fc.assert(fc.property(name, name, (a, b) => {
      const wanted = collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
      expect(Math.sign(compareNames(a, b))).toBe(Math.sign(wanted));
    }), { numRuns: 2_000 });
  });
});
