import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

import { Context } from '../../src/cli/context.ts';
import { BeltError } from '../../src/errors.ts';
import { stage } from './line.ts';

/** Puts `value` in the place of a method until the end of the block. */
function replaced<T, K extends keyof T>(target: T, key: K, value: T[K]): Disposable {
  const before = target[key];
  target[key] = value;
  return { [Symbol.dispose]: () => void (target[key] = before) };
}

describe('create', () => {
  it('makes machines, shows the table of the book, and writes .gitignore first', async () => {
    using on = stage();
    const result = await on.belt('create', '512mb', 'node[1:3]', '--region', 'a,b');
    expect(result).toMatchObject({ exit: 0, stderr: '' });
    expect(result.stdout.split('\n').map((line) => line.split(/ +/))).toEqual([
      ['NAME', 'IPv4', 'MEMORY', 'REGION', 'IMAGE', 'STATUS'],
      ['node1', '127.9.0.2', '512', 'a', '-', 'active'],
      ['node2', '127.9.0.3', '512', 'b', '-', 'active'],
      ['node3', '127.9.0.4', '512', 'a', '-', 'active'],
      [''],
    ]);
    expect(readFileSync(path.join(on.folder, '.belt/.gitignore'), 'utf8')).toBe('*\n');
  });

  it('leaves alone what is there, and says so', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node[1:2]');
    const again = await on.belt('create', '512mb', 'node[1:3]');
    expect(again).toMatchObject({ exit: 0, stderr: 'node[1:2]: there already, left alone\n' });
    expect(on.cloud.names()).toEqual(['node1', 'node2', 'node3']);
    expect(on.cloud.calls.filter((call) => call.startsWith('create'))).toEqual(['create 2', 'create 1']);
    expect((await on.belt('create', '1gb', 'node[1:2]')).stderr).toBe('node[1:2]: there already as m512, left alone\n');
  });

  it('names what failed and keeps what was made: exit 3', async () => {
    using on = stage();
    on.cloud.refused.add('node2');
    const result = await on.belt('create', '512mb', 'node[1:3]');
    expect(result.exit).toBe(3);
    expect(result.stderr).toBe('belt: 1 of 3 machines were not made:\n  node2: no capacity\nnext: the same command again leaves alone what is done and tries the rest\n');
    expect(on.cloud.names()).toEqual(['node1', 'node3']);
  });

  it('--rollback removes what this run made and nothing else', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    on.cloud.refused.add('node3');
    const result = await on.belt('create', '512mb', 'node[1:3]', '--rollback');
    expect(result.exit).toBe(1);
    expect(on.cloud.names()).toEqual(['node1']);
  });

  it('a reply that was lost is found by the next run, not made twice', async () => {
    using on = stage();
    on.cloud.dieAfter = 2;
    expect((await on.belt('create', '512mb', 'node[1:5]')).exit).toBe(3);
    expect(on.cloud.names()).toEqual(['node1', 'node2', 'node3']);
    on.cloud.dieAfter = Infinity;
    const again = await on.belt('create', '512mb', 'node[1:5]');
    expect(again.exit).toBe(0);
    expect(again.stderr).toContain('going on with the create of');
    expect(on.cloud.names()).toEqual(['node1', 'node2', 'node3', 'node4', 'node5']);
    expect(new Set([...on.cloud.machines.values()].map((machine) => machine.orderId)).size).toBe(1);
  });

  it('makes nothing when the cloud cannot say what is there', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    on.cloud.failingLists = 1;
    expect((await on.belt('create', '512mb', 'node2')).exit).toBe(1);
    expect(on.cloud.names()).toEqual(['node1']);
  });

  it('5,000 are one order, and one list before and after', async () => {
    using on = stage();
    on.cloud.bootsSlowly = true;
    expect((await on.belt('create', '512mb', 'node[1:5000]', '--json')).exit).toBe(0);
    expect(on.cloud.calls).toEqual(['list', 'create 5000', 'list', 'list']);
    expect(JSON.parse(readFileSync(path.join(on.folder, '.belt/default/state.json'), 'utf8')).body).toMatchObject({ orders: {}, machines: { node5000: { status: 'active' } } });
  });

  it('--dry-run prints the plan and makes nothing', async () => {
    using on = stage();
    const result = await on.belt('create', '8192MB', 'mg[0:4]', '--region', 'a,b,c', '--topology', '5/3', '--dry-run', '--json');
    expect(result.exit).toBe(0);
    const plan = JSON.parse(result.stdout) as { create: { region: string; names: string[]; type: string }[] };
    expect(plan.create.map(({ region, names, type }) => [region, names, type])).toEqual([['a', ['mg0', 'mg3'], 'm8192'], ['b', ['mg1', 'mg4'], 'm8192'], ['c', ['mg2'], 'm8192']]);
    expect(on.cloud.names()).toEqual([]);
    // No cluster either: its CA and keys would lie in a folder where somebody only asked.
    expect(existsSync(path.join(on.folder, '.belt'))).toBe(false);
  });
});

describe('ls and status', () => {
  it('gives exactly the fields of the contract as JSON', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    const [machine] = JSON.parse((await on.belt('ls', '--json')).stdout) as Record<string, unknown>[];
    expect(Object.keys(machine ?? {})).toEqual(['name', 'driver', 'id', 'status', 'publicIpv4', 'privateIpv4', 'sshPort', 'sshUser', 'memoryMb', 'region', 'datacenter', 'image', 'size', 'createdAt', 'tags']);
  });

  it('in an empty folder lists nothing, makes nothing', async () => {
    using on = stage();
    expect(await on.belt('ls', '--json')).toEqual({ exit: 0, stdout: '[]\n', stderr: `nobody has made cluster default here: there is no ${on.folder}/.belt/default\n` });
    expect(existsSync(path.join(on.folder, '.belt'))).toBe(false);
  });

  it('shows a cloud that is down as such, its machines as last seen', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    on.cloud.failingLists = 1;
    const result = await on.belt('ls');
    expect(result.exit).toBe(0);
    expect(result.stdout).toContain('unknown');
    expect(result.stderr).toContain('local does not answer');
  });

  it('counts by status', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node[1:3]');
    await on.belt('stop', 'node2');
    expect((await on.belt('status')).stdout).toBe('STATUS   #NODES   NAMES\nactive        2   node[1,3]\noff           1   node2\n');
    expect((await on.belt('status', '--wait', 'active=2')).exit).toBe(0);
    expect((await on.belt('status', '--wait', 'active=3', '--timeout', '1ms')).exit).toBe(4);
  });
});

describe('rm', () => {
  it('asks, is safe to repeat, and forgets the active machine', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node[1:2]');
    await on.belt('active', 'node1');
    expect((await on.belt('rm', 'node1')).exit).toBe(5);
    expect(await on.belt('rm', '--yes', 'node1')).toMatchObject({ exit: 0, stdout: 'node1: removed\n' });
    expect(await on.belt('rm', '--yes', 'node1')).toMatchObject({ exit: 0, stdout: 'node1: already gone\n' });
    expect((await on.belt('active')).exit).toBe(1);
  });

  it('refuses a bare name that is a file here, where other verbs warn', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    writeFileSync(path.join(on.folder, 'node1'), '');
    expect(await on.belt('rm', '--yes', 'node1')).toMatchObject({ exit: 5, stdout: '' });
    const stopped = await on.belt('stop', 'node1');
    expect(stopped.exit).toBe(0);
    expect(stopped.stderr).toContain('warning');
    expect((await on.belt('rm', '--yes', '--force', 'node1')).exit).toBe(0);
  });

  it('a removal whose run died is over when the cloud has the machine no more', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    on.cloud.machines.clear();
    expect((await on.belt('ls')).stderr).toContain('belt doctor');
    expect((await on.belt('doctor')).exit).toBe(1);
    expect((await on.belt('doctor', '--adopt')).exit).toBe(0);
    expect((await on.belt('doctor')).exit).toBe(0);
  });
});

describe('another belt at the same time', () => {
  it('doctor --remove leaves alone what was made since it looked', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    on.cloud.beforeList = () => on.belt('create', '512mb', 'node[2:3]');
    await on.belt('doctor', '--remove', '--yes');
    expect(on.cloud.names()).toEqual(['node1', 'node2', 'node3']);
    expect((await on.belt('doctor')).exit).toBe(0);
  });

  it.each([['kill', 'node1'], ['pause', 'node1'], ['resize', 'node1', '8192MB'], ['rm', '--yes', 'node1']])('%s asks about the quorum with the cluster locked', async (...words) => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    const locked: boolean[] = [];
    using _ = replaced(Context.prototype, 'guard', async () => void locked.push(existsSync(path.join(on.folder, '.belt/default/lock'))));
    expect((await on.belt(...words)).exit).toBe(0);
    expect(locked.at(-1)).toBe(true);
  });

  it('cluster rm does not forget machines that were made since it asked', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    on.cloud.afterList = () => on.belt('create', '512mb', 'node2');
    const removed = await on.belt('cluster', 'rm', 'default', '--yes');
    expect(removed).toMatchObject({ exit: 5 });
    expect(removed.stderr).toContain('node2');
    expect((await on.belt('cluster', 'rm', 'default', '--yes')).exit).toBe(0);
    expect(on.cloud.names()).toEqual([]);
  });

  it('cluster rm does not forget a create that died a moment ago: its machines may not be listed yet', async () => {
    using on = stage();
    on.cloud.dieAfter = 2;
    await on.belt('create', '512mb', 'node[1:5]');
    const removed = await on.belt('cluster', 'rm', 'default', '--yes');
    expect(removed).toMatchObject({ exit: 5 });
    expect(removed.stderr).toContain('node[4:5] may still come; nothing was removed');
    expect(on.cloud.names()).toEqual(['node1', 'node2', 'node3']);
    on.nowMs += 601_000;
    expect((await on.belt('cluster', 'rm', 'default', '--yes')).exit).toBe(0);
    expect(on.cloud.names()).toEqual([]);
  });

  it('cluster rm --force names the machines of a cloud that does not answer', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node[1:2]');
    on.cloud.failingLists = 100;
    expect(await on.belt('cluster', 'rm', 'default', '--yes')).toMatchObject({ exit: 5 });
    const { exit, stderr } = await on.belt('cluster', 'rm', 'default', '--yes', '--force');
    expect(exit).toBe(0);
    expect(stderr).toMatch(/left behind on what did not answer, and known to nobody now: node1 \(.*\), node2 \(.*\)/);
    on.cloud.failingLists = 0;
    expect(on.cloud.names()).toEqual(['node1', 'node2']);
  });

  it('cluster rm --force forgets it', async () => {
    using on = stage();
    on.cloud.dieAfter = 2;
    await on.belt('create', '512mb', 'node[1:5]');
    expect((await on.belt('cluster', 'rm', 'default', '--yes', '--force')).exit).toBe(0);
  });
});

describe('power', () => {
  it('says what was so already, and refuses unknown names before anything is done', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node[1:2]');
    expect((await on.belt('stop', 'node[1:3]')).exit).toBe(1);
    expect(on.cloud.calls.some((call) => call.startsWith('stop'))).toBe(false);
    expect((await on.belt('stop', 'node1')).stdout).toBe('node1: stopped\n');
    expect((await on.belt('stop', 'node[1:2]')).stdout).toBe('node1: is off already\nnode2: stopped\n');
    expect((await on.belt('resize', 'node1', '8192MB')).exit).toBe(0);
    expect(JSON.parse((await on.belt('ls', 'node1', '--json')).stdout)[0].size).toBe('m8192');
  });
});

describe('clusters', () => {
  it('are made, listed, chosen, configured and removed', async () => {
    using on = stage();
    expect((await on.belt('cluster', 'new', '--driver', 'local', 'swarm2k', '--define', 'region=sgp1')).exit).toBe(0);
    expect(await on.belt('cluster', 'new', 'swarm2k')).toMatchObject({ exit: 0, stdout: 'swarm2k: there already, left alone, and current\n' });
    expect((await on.belt('cluster', 'new', 'swarm2k', '--define', 'region=nyc3')).exit).toBe(2);
    expect((await on.belt('cluster', 'new', 'other')).exit).toBe(0);
    expect((await on.belt('use', 'swarm2k')).exit).toBe(0);
    await on.belt('cluster', 'update', 'region=nyc3', 'ssh_user=debian');
    const config = await on.belt('cluster', 'config');
    expect(config.stdout).toMatch(/^region +nyc3 +\.belt\/swarm2k\/config\.yml:2$/m);
    await on.belt('create', '1gb', 'a1');
    expect((await on.belt('cluster', 'ls')).stdout).toBe('CLUSTER   ACTIVE   LEADER   MASTERS   #NODES\nother     -        -        -         0 / 0\nswarm2k   -        -        -         1 / 1\n');
    expect((await on.belt('cluster', 'rm', 'swarm2k')).exit).toBe(5);
    expect((await on.belt('cluster', 'rm', 'swarm2k', '--yes')).exit).toBe(0);
    expect(on.cloud.names()).toEqual([]);
    expect((await on.belt('cluster', 'rm', 'swarm2k')).stdout).toBe('swarm2k: already gone\n');
  });

  it('are found upward, and kept apart', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node1');
    await on.belt('cluster', 'new', 'two');
    expect(JSON.parse((await on.belt('ls', '--json')).stdout)).toEqual([]);
    expect(JSON.parse((await on.belt('ls', '--json', '--cluster', 'default')).stdout)).toHaveLength(1);
  });

  it('a damaged state is told, left as it is, and the machines are found again', async () => {
    using on = stage();
    await on.belt('create', '512mb', 'node[1:2]');
    const state = path.join(on.folder, '.belt/default/state.json');
    const whole = readFileSync(state, 'utf8');
    writeFileSync(state, whole.slice(0, whole.length / 2));
    const broken = await on.belt('ls');
    expect(broken.exit).toBe(1);
    expect(broken.stderr).toContain('ends too early');
    expect(readFileSync(state, 'utf8')).toHaveLength(Math.floor(whole.length / 2));
    writeFileSync(`${state}.damaged`, '');
    const { rmSync } = await import('node:fs');
    rmSync(state);
    expect((await on.belt('cluster', 'new', 'default')).exit).toBe(0);
    expect((await on.belt('doctor', '--adopt')).exit).toBe(0);
    expect(JSON.parse((await on.belt('ls', '--json')).stdout)).toHaveLength(2);
  });
});

describe('interruption', () => {
  it('ends with 130 and the state saved', async () => {
    using on = stage();
    on.stop.abort(new BeltError('interrupted', 'interrupted'));
    expect(await on.belt('create', '512mb', 'node1')).toEqual({ exit: 130, stdout: '', stderr: 'belt: interrupted\nnext: the same command again goes on from here\n' });
  });
});
