import fc from '../property.ts';
import { describe, expect, it } from 'vitest';
import { isBeltError } from '../../src/errors.ts';
import { compressNames } from '../../src/range/compress.ts';
import { expandRange, expandRanges } from '../../src/range/expand.ts';

describe('expandRange', () => {
  it.each([
    ['node1', ['node1']],
    ['node[1:4]', ['node1', 'node2', 'node3', 'node4']],
    ['node[01:03]', ['node01', 'node02', 'node03']],
    ['node[08:11]', ['node08', 'node09', 'node10', 'node11']],
    ['node[1,3,7:9]', ['node1', 'node3', 'node7', 'node8', 'node9']],
    ['dc[1:2]-n[1:3]', ['dc1-n1', 'dc1-n2', 'dc1-n3', 'dc2-n1', 'dc2-n2', 'dc2-n3']],
    ['mg0,node[1:3]', ['mg0', 'node1', 'node2', 'node3']],
    ['node[2:2]', ['node2']],
    ['node[0:0]', ['node0']],
    ['n[1:2]x', ['n1x', 'n2x']],
    ['node[1:2],node[2:3]', ['node1', 'node2', 'node3']],
  ])('%s', (text, names) => {
    expect(expandRange(text)).toEqual(names);
  });

  it.each([
    ['', 1, 'a range is empty'],
    [' ', 1, 'a range is empty'],
    ['node[1:4', 5, '"[" is not closed'],
    ['node1:4]', 6, '":" stands in brackets only'],
    ['node1]', 6, '"]" without "["'],
    ['node[]', 5, 'the brackets are empty'],
    ['node[4:1]', 6, '4:1 is reversed'],
    ['node[1-4]', 7, 'a range is written first:last, with ":"'],
    ['node[a]', 6, '"a" is not a number'],
    ['node[1:2:3]', 9, 'a range has one ":"'],
    ['node[:3]', 6, 'the first number is missing'],
    ['node[1:]', 8, 'the last number is missing'],
    ['node[1,,2]', 8, 'a number is missing'],
    ['mg0,,mg1', 5, 'a name is missing'],
    ['mg0,', 5, 'a name is missing'],
    ['mg0,constructor', 5, '"constructor" is a word that belt cannot file a machine under'],
    ['prototype', 1, '"prototype" is a word that belt cannot file a machine under'],
    [',mg0', 1, 'a name is missing'],
    ['Node1', 1, '"N": names are lower case'],
    ['no_de', 3, '"_" cannot stand in a name: letters, digits and "-" only'],
    ['node 1', 5, '" " cannot stand in a name: letters, digits and "-" only'],
    ['../etc', 1, '"." cannot stand in a name: letters, digits and "-" only'],
    ['-node', 1, '"-node" starts or ends with "-"'],
    ['mg0,node-', 5, '"node-" starts or ends with "-"'],
    ['node[1:10001]', 1, 'more than 10,000 names'],
    ['a[1:200]b[1:200]', 1, 'more than 10,000 names'],
    ['node[1:9999999999]', 6, 'numbers end at 999999999'],
    ['x'.repeat(64), 1, '"xxxxxxxxxxxxxxxxxxxx…" is longer than 63 characters'],
  ])('refuses %j and points at column %i', (text, column, problem) => {
    try {
      expandRange(text);
      expect.unreachable();
    } catch (error) {
      expect(isBeltError(error, 'range') && error.message).toBe(`bad range at column ${column}: ${problem}\n  ${text}\n  ${' '.repeat(column - 1)}^`);
    }
  });

  it('gives 10,000 names and not one more, over several arguments as well', () => {
    expect(expandRange('node[1:10000]')).toHaveLength(10_000);
    expect(() => expandRanges(['a[1:6000]', 'b[1:6000]'])).toThrow(/more than 10,000/);
  });
});

/** A deliberately plain second reading of the grammar: recursion over the first bracket, no columns, no limits. */
function plainExpand(text: string): string[] {
  const pieces: string[] = [];
  let depth = 0;
  let piece = '';
  for (const c of text) {
    if (c === '[') depth += 1;
    if (c === ']') depth -= 1;
    if (c === ',' && depth === 0) {
      pieces.push(piece);
      piece = '';
    } else piece += c;
  }
  pieces.push(piece);
  const one = (p: string): string[] => {
    const open = p.indexOf('[');
    if (open < 0) return [p];
    const close = p.indexOf(']');
    const out: string[] = [];
    for (const item of p.slice(open + 1, close).split(',')) {
      const [first, last] = item.includes(':') ? item.split(':') : [item, item];
      for (let n = Number(first); n <= Number(last); n += 1) {
        let digits = `${n}`;
        if ((first as string)[0] === '0' && (first as string).length > 1) while (digits.length < (first as string).length) digits = `0${digits}`;
        for (const rest of one(p.slice(close + 1))) out.push(p.slice(0, open) + digits + rest);
      }
    }
    return out;
  };
  return pieces.flatMap(one).filter((name, at, all) => all.indexOf(name) === at);
}

const word = fc.stringMatching(/^[a-z]([a-z0-9-]{0,4}[a-z])?$/);
const item = fc.tuple(fc.nat(120), fc.nat(12), fc.nat(4)).map(([first, more, width]) => {
  const head = String(first).padStart(width, '0');
  return more === 0 ? head : `${head}:${first + more}`;
});
const bracket = fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => `[${items.join(',')}]`);
const range = fc.tuple(word, fc.array(fc.tuple(bracket, fc.option(word, { nil: '' })), { maxLength: 2 })).map(([head, parts]) => head + parts.map(([b, w]) => b + w).join(''));
const ranges = fc.array(range, { minLength: 1, maxLength: 3 }).map((list) => list.join(','));

describe('properties', () => {
  it('expands as the plain second implementation does', () => {
    fc.assert(fc.property(ranges, (text) => void expect(expandRange(text)).toEqual(plainExpand(text))), { numRuns: 500 });
  });

  it('compresses to what expands to the same names', () => {
    const same = (text: string): void => {
      const names = expandRange(text);
      const compressed = compressNames(names);
      expect(new Set(expandRange(compressed))).toEqual(new Set(names));
      expect(plainExpand(compressed)).toHaveLength(names.length);
    };
    fc.assert(fc.property(ranges, same), { numRuns: 500 });
  });
});

describe('compressNames', () => {
  it.each([
    [['node1', 'node2', 'node3'], 'node[1:3]'],
    [['node3', 'node1', 'node2', 'mg0'], 'node[1:3],mg0'],
    [['node1', 'node3'], 'node[1,3]'],
    [['node08', 'node09', 'node10'], 'node[08:10]'],
    [['node99', 'node098', 'node099', 'node100'], 'node99,node[098:100]'],
    [['a', 'b'], 'a,b'],
    [['node7'], 'node7'],
    [[], ''],
  ])('%j → %s', (names, text) => {
    expect(compressNames(names)).toBe(text);
  });
});
