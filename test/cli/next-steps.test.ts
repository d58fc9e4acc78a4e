import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { COMMAND_GROUPS } from '../../src/cli/commands.ts';

/** Errors end in what to type next; it must be something that can be typed. */
/** What belt itself is and does, at the start of a text. */
const PROSE = new Set(['cannot', 'does', 'follows', 'forms', 'turns', 'takes', 'has', 'is', 'agent', 'opens', 'sealing', 'signs']);

it('every belt command that a message names exists', () => {
  const names = new Set(COMMAND_GROUPS.flatMap((group) => group.entries.map((entry) => entry.path)));
  const groups = new Set([...names].filter((name) => name.includes(' ')).map((name) => name.split(' ')[0]));
  const unknown: string[] = [];
  for (const path of globSync('{src,drivers}/**/*.ts')) {
    // Only what is inside quotes is a message.
    for (const [, text = ''] of readFileSync(path, 'utf8').matchAll(/['`]((?:[^'`\\\n]|\\.)*)['`]/g)) {
      for (const { index, 1: first = '', 2: second = '' } of text.matchAll(/\bbelt ([a-z]+)(?: ([a-z]+))?/g)) {
        const wrong = groups.has(first) ? second !== '' && !names.has(`${first} ${second}`) : index === 0 && !names.has(first) && !PROSE.has(first);
        if (wrong) unknown.push(`${path}: belt ${first} ${second}`);
      }
    }
  }
  expect(unknown).toEqual([]);
});
