import { describe, expect, it } from 'vitest';

import type { CommandEntry } from '../../src/cli/commands.ts';
import { splitLine } from '../../src/cli/split.ts';

const entry = (path: string, rest?: CommandEntry['rest']): CommandEntry => ({ path, synopsis: '', summary: '', load: () => Promise.reject(new Error('not loaded')), ...(rest === undefined ? {} : { rest }) });
const ENTRIES = [entry('ls'), entry('docker', 'all'), entry('ssh', 'after-name'), entry('exec', 'after-dashes'), entry('cluster new'), entry('swarm join')];

describe('what of a line is whose', () => {
  it.each<[string, string | null, string, string]>([
    ['ls --json node1', 'ls', '--json node1', ''],
    ['--json ls node1', 'ls', '--json node1', ''],
    ['--host node2 docker swarm join --token T 1.2.3.4:2377', 'docker', '--host node2', 'swarm join --token T 1.2.3.4:2377'],
    ['docker --help', 'docker', '', '--help'],
    ['docker run -p 80:80 --host x --json --version nginx -- a', 'docker', '', 'run -p 80:80 --host x --json --version nginx -- a'],
    ['-d ec2 --debug docker ps', 'docker', '-d ec2 --debug', 'ps'],
    ['ssh node1 ls --help', 'ssh', 'node1', 'ls --help'],
    ['ssh --debug node1 -- x', 'ssh', '--debug node1', '-- x'],
    ['--cluster docker ssh node1 docker ps', 'ssh', '--cluster docker node1', 'docker ps'],
    ['exec node1 --json -- uptime --help', 'exec', 'node1 --json', 'uptime --help'],
    ['exec node1 -- sh -c x -- y', 'exec', 'node1', 'sh -c x -- y'],
    ['exec node1 uptime', 'exec', 'node1 uptime', ''],
    ['--json cluster --debug new x', 'cluster new', '--json --debug x', ''],
    ['swarm join node1 node2', 'swarm join', 'node1 node2', ''],
    ['--version', null, '--version', ''],
    ['', null, '', ''],
    ['cluster --help', null, '--help', ''],
  ])('belt %s', (line, path, own, rest) => {
    const split = splitLine(line.split(' ').filter(Boolean), ENTRIES);
    expect([split.entry?.path ?? null, split.own.join(' '), split.rest.join(' ')]).toEqual([path, own, rest]);
  });
});
