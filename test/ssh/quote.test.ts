import { spawnSync } from 'node:child_process';
import fc from '../property.ts';
import { expect, test } from 'vitest';
import { quoteAssignments, quoteCommand, quoteWord } from '../../src/ssh/quote.ts';

test.each([
  ['', "''"],
  ['plain-word_1.2:/x@y,z+%', 'plain-word_1.2:/x@y,z+%'],
  ["it's", `'it'\\''s'`],
  ['a b', "'a b'"],
  ['$(rm -rf /)', "'$(rm -rf /)'"],
  ['=ls', "'=ls'"],
  ['~', "'~'"],
  ['node[1:3]', "'node[1:3]'"],
  ['line\nbreak', "'line\nbreak'"],
])('%j is written %s', (word, quoted) => expect(quoteWord(word)).toBe(quoted));

test('a NUL byte is a bug of the caller', () => expect(() => quoteWord('a\0b')).toThrow('NUL'));

test('assignments', () => {
  expect(quoteAssignments({ A: '', B: 'x y' })).toBe("A='' B='x y'");
  expect(() => quoteAssignments({ 'A;ls': '' })).toThrow('variable name');
});

test('a shell reads back exactly the words that were quoted', () => {
  const word = fc.string({ unit: 'binary', maxLength: 30 }).filter((text) => !text.includes('\0') && text.isWellFormed());
  fc.assert(
    fc.property(fc.array(word, { minLength: 20, maxLength: 60 }), (words) => {
      const { stdout } = spawnSync('/bin/sh', ['-c', `printf '%s\\0' ${quoteCommand(words)}`], { encoding: 'utf8' });
      expect(stdout.split('\0').slice(0, -1)).toEqual(words);
    }),
    { numRuns: 30 },
  );
});
