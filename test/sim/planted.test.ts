import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { simulate } from './cluster.ts';
import { PLANTED_BUGS } from './planted.ts';

const doc = readFileSync(new URL('../../docs/raft.md', import.meta.url), 'utf8');
const SOURCES = new URL('../../src/', import.meta.url);

/** The row of docs/raft.md: the seed that shows the bug. */
function documentedSeed(name: string): number {
  const row = doc.split('\n').find((line) => line.startsWith(`| ${name} |`));
  return Number(row?.split('|').at(-2));
}

describe('the simulation catches every planted bug, at the seed docs/raft.md tells', () => {
  test.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))('%s', (name, { mistakes }) => {
    const seed = documentedSeed(name);
    expect(seed, 'make the table anew with: npm run sim -- --planted').toBeGreaterThan(0);
    expect(simulate({ seed }).violation).toBeNull();
    expect(simulate({ seed, mistakes }).violation, 'make the table anew with: npm run sim -- --planted').not.toBeNull();
  });
});

test('nothing in the sources puts other rules in the place of the paper\'s', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const breakers = files.filter((name) => /extends RaftNode|override rules/.test(readFileSync(new URL(name, SOURCES), 'utf8')));
  expect(files.length).toBeGreaterThan(20);
  expect(breakers).toEqual([]);
});
