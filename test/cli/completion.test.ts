/** The completion scripts in the shells they are for. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { ALL_COMMANDS } from '../../src/cli/commands.ts';
import { completionScript } from '../../src/cli/completion-scripts.ts';

const LINES: [typed: string[], offered: RegExp][] = [
  [['sw'], /^swarm$/],
  [['swarm', 'reb'], /^rebuild$/],
  [['--cluster', 'blue', 'sw'], /^swarm$/],
  [['--json', '-d', 'ec2', 'swarm', 'reb'], /^rebuild$/],
  [['--json', 'certs', 'ro'], /^rotate$/],
  [['swarm', '--json', 'reb'], /^rebuild$/],
  [['--cluster', 'sw'], /^$/],
  [['ls', 'sw'], /^$/],
];

describe.skipIf(!existsSync('/bin/bash'))('bash', () => {
  it.each([...LINES, [['--cluster', '=', 'blue', 'sw'], /^swarm$/] as (typeof LINES)[number]])('%j', (typed, offered) => {
    const words = ['belt', ...typed].map((word) => `'${word}'`).join(' ');
    const script = `complete() { :; }\n${completionScript('bash', ALL_COMMANDS)}\nCOMP_WORDS=(${words}); COMP_CWORD=${typed.length}; _belt; echo "\${COMPREPLY[*]}"`;
    const { stdout, stderr } = spawnSync('/bin/bash', ['-c', script], { encoding: 'utf8' });
    expect([stdout.trim(), stderr]).toEqual([expect.stringMatching(offered), '']);
  });
});

describe.skipIf(!existsSync('/usr/bin/zsh'))('zsh', () => {
  it.each(LINES)('%j', (typed, offered) => {
    const words = ['belt', ...typed].map((word) => `'${word}'`).join(' ');
    const last = typed.at(-1) ?? '';
    const stubs = `compdef() { :; }; _files() { :; }; compadd() { shift; local one; for one in "$@"; do [[ $one == ${last}* ]] && print -r -- $one; done; }`;
    const script = `${stubs}\n${completionScript('zsh', ALL_COMMANDS)}\nwords=(${words}); CURRENT=${typed.length + 1}; _belt`;
    const { stdout, stderr } = spawnSync('/usr/bin/zsh', ['-f', '-c', script], { encoding: 'utf8' });
    expect([stdout.trim(), stderr]).toEqual([expect.stringMatching(offered), '']);
  });
});
