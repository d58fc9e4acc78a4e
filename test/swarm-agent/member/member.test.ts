import { describe, expect, test } from 'vitest';
import { SNAPSHOT_RETRY_MS } from '../../../src/swarm-agent/member/member.ts';
import type { Change } from '../../../src/swarm-agent/store/commands.ts';
import type { SealedText } from '../../../src/swarm-agent/store/records.ts';
import { CrashDisk } from '../log/crash-disk.ts';
import { Group, watch } from './harness.ts';

const set = (key: string, value = key): Change => ({ type: 'setting.set', key, value });
const rotate: Change = { type: 'token.rotate', role: 'worker', secret: '1.k.s' as SealedText };

async function elected(ids = ['a', 'b', 'c'], config = {}): Promise<Group> {
  const group = new Group(ids, config);
  await group.run(2_000);
  return group;
}

describe('a write', () => {
  test('is acknowledged with its revision, and all members end with the same state', async () => {
    const group = await elected();
    const writes = ['x', 'y', 'z'].map((key) => watch(group.leader().member.write(key, set(key))));
    await group.run(200);
    expect(writes.map(({ state, value }) => [state(), value()])).toEqual([['ok', 3], ['ok', 4], ['ok', 5]]);
    expect(new Set([...group.nodes.values()].map(({ member }) => JSON.stringify(member.hash()))).size).toBe(1);
  });

  test('at a follower is refused, and who leads is told', async () => {
    const group = await elected();
    const refused = group.followers()[0]!.member.write('x', set('x')).catch((error: unknown) => error);
    await group.run(10);
    expect(await refused).toMatchObject({ code: 'no_quorum', machine: group.leader().id, retryable: true });
    expect(group.followers()[0]!.member.state.tables.settings.size).toBe(0);
  });

  test('that the state refuses says why, and changes nothing', async () => {
    const group = await elected();
    const written = watch(group.leader().member.write('x', { type: 'node.remove', node: 'nobody' }));
    await group.run(200);
    expect(written.state()).toBe('unknown_machine');
  });

  test('is not acknowledged while a majority’s disks have not synced it', async () => {
    const group = await elected();
    for (const follower of group.followers()) follower.syncs = false;
    const written = watch(group.leader().member.write('x', set('x')));
    await group.run(100);
    expect(written.state()).toBe('pending');
    group.followers()[0]!.syncs = true;
    await group.run(100);
    expect(written.state()).toBe('ok');
  });

  test('is not acknowledged before the leader’s own disk has it, though a majority’s have', async () => {
    const group = await elected();
    const leader = group.leader();
    leader.syncs = false;
    const written = watch(leader.member.write('x', set('x')));
    await group.run(100);
    expect(leader.member.status().commit).toBe(3);
    expect(written.state()).toBe('pending');
    leader.syncs = true;
    await group.run(100);
    expect(written.state()).toBe('ok');
  });

  test('of a leader that is cut off ends unknown; its repeat elsewhere is done once', async () => {
    const group = await elected();
    const old = group.leader();
    for (const follower of group.followers()) follower.syncs = false;
    const written = watch(old.member.write('same', rotate));
    await group.run(20);
    group.cut(old.id);
    for (const node of group.nodes.values()) node.syncs = true;
    await group.run(3_000);
    expect(written.state()).toBe('outcome_unknown');
    const first = await settled(group, group.leader().member.write('same', rotate));
    group.heal();
    await group.run(2_000);
    expect(await settled(group, group.leader().member.write('same', rotate))).toBe(first);
    expect([...group.nodes.values()].map(({ member }) => member.state.tables.tokens.get('worker')!.version)).toEqual([1, 1, 1]);
  });

  test('beyond what may be under way is refused and may be tried again', async () => {
    const group = await elected(['a', 'b', 'c'], { uncommittedEntriesMax: 2 });
    for (const follower of group.followers()) follower.syncs = false;
    const { member } = group.leader();
    const writes = [1, 2, 3].map((i) => watch(member.write(`r${i}`, set('x'))));
    await group.run(50);
    expect(writes.map(({ state }) => state())).toEqual(['pending', 'pending', 'refused']);
    await expect(member.write('big', set('x', 'x'.repeat(600_000)))).rejects.toMatchObject({ code: 'bad_request' });
  });
});

async function settled<T>(group: Group, promise: Promise<T>): Promise<T> {
  const watched = watch(promise);
  await group.run(500);
  expect(watched.state()).toBe('ok');
  return watched.value()!;
}

describe('a read', () => {
  test('at the leader sees what was acknowledged before; elsewhere it is refused', async () => {
    const group = await elected();
    const { member } = group.leader();
    await settled(group, member.write('x', set('x')));
    await settled(group, member.read());
    expect(member.state.tables.settings.get('x')!.value).toBe('x');
    await expect(group.followers()[0]!.member.read()).rejects.toMatchObject({ code: 'no_quorum' });
  });

  test('at a leader that is cut off is not answered from what it has, but refused', async () => {
    const group = await elected();
    const old = group.leader();
    group.cut(old.id);
    const read = watch(old.member.read());
    await group.run(2_000);
    expect(read.state()).toBe('no_quorum');
  });
});

describe('the disk', () => {
  test('that fails stops the member: its writes are unknown, the others go on, it comes back as it was synced', async () => {
    const group = await elected();
    const failing = group.leader();
    await settled(group, failing.member.write('x', set('x')));
    failing.disk.failSync = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    group.cut(failing.id);
    const written = watch(failing.member.write('y', set('y')));
    await group.run(100);
    expect([written.state(), failing.failures.map(({ code }) => code)]).toEqual(['outcome_unknown', ['disk']]);
    await expect(failing.member.write('z', set('z'))).rejects.toMatchObject({ code: 'no_quorum' });
    await group.run(2_000);
    group.heal();
    const back = group.restart(failing.id);
    await settled(group, group.leader().member.write('w', set('w')));
    expect([...back.member.state.tables.settings.keys()]).toEqual(['x', 'w']);
  });

  test('of every member may lose its power at once', async () => {
    const group = await elected();
    await settled(group, group.leader().member.write('x', set('x')));
    const { term } = group.leader().member.status();
    for (const id of ['a', 'b', 'c']) group.restart(id);
    await group.run(2_000);
    expect(group.leader().member.status().term).toBeGreaterThan(term);
    expect(group.leader().member.state.tables.settings.get('x')!.value).toBe('x');
  });
});

describe('snapshots', () => {
  const config = { snapshotEntries: 50, trailingEntries: 10, snapshotChunkBytes: 1_024 };

  test('bound the log, and bring a new manager and one that was away up to date', async () => {
    const group = await elected(['a', 'b', 'c'], config);
    const away = group.followers()[0]!;
    group.cut(away.id);
    for (let i = 0; i < 400; i++) await settledSoon(group, group.leader().member.write(`r${i}`, set(`key${i % 20}`, `${i} ${'v'.repeat(200)}`)));
    const { member, disk } = group.leader();
    expect(member.status().firstIndex).toBeGreaterThan(300);
    expect(disk.list().filter((name) => name.startsWith('log-')).length).toBeLessThanOrEqual(5);
    expect(member.disk().snapshotAgeMs).toBeLessThan(2_000);

    group.heal();
    const late = group.start('d', new CrashDisk());
    await settled(group, group.leader().member.change({ kind: 'add', id: 'd', address: 'd:1' }));
    await group.run(2_000);
    await settled(group, group.leader().member.change({ kind: 'promote', id: 'd' }));
    await group.run(500);
    const hash = JSON.stringify(group.leader().member.hash());
    expect([JSON.stringify(away.member.hash()), JSON.stringify(late.member.hash())]).toEqual([hash, hash]);
    expect(late.member.status().membership.members.filter(({ voter }) => voter).length).toBe(4);

    const again = group.restart('d');
    await group.run(1_000);
    expect(JSON.stringify(again.member.hash())).toBe(hash);
  });

  test('that cannot be written are told of and tried again after a pause, not at every write', async () => {
    const group = await elected(['a', 'b', 'c'], config);
    const { member, disk, snapshotFailures } = group.leader();
    const open = disk.open.bind(disk);
    let tries = 0;
    let isFull = true;
    disk.open = (name) => {
      if (name !== 'snapshot-saving' || !isFull) return open(name);
      tries += 1;
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    for (let i = 0; i < 200; i++) await settledSoon(group, member.write(`r${i}`, set('key', `${i}`)));
    expect(tries).toBe(1);
    expect(snapshotFailures.map(({ code }) => code)).toEqual(['disk']);
    isFull = false;
    await group.run(SNAPSHOT_RETRY_MS);
    await settledSoon(group, member.write('last', set('key', 'last')));
    await group.run(100);
    expect(member.status().snapshotIndex).toBeGreaterThan(200);
  });

  async function settledSoon(group: Group, promise: Promise<unknown>): Promise<void> {
    const watched = watch(promise);
    await group.run(2);
    expect(watched.state()).toBe('ok');
  }
});

describe('leaving', () => {
  test('a leader that stops hands over first, and nobody waits for an election timeout', async () => {
    const group = await elected();
    const old = group.leader();
    const began = group.clock.time;
    const stopped = watch(old.member.stop());
    await group.run(20);
    expect(stopped.state()).toBe('ok');
    expect(group.leader().id).not.toBe(old.id);
    expect(group.clock.time - began).toBeLessThan(50);
    await expect(old.member.write('x', set('x'))).rejects.toMatchObject({ code: 'no_quorum' });
  });

  test('a member of an older release stops when the cluster moves past it, and says what to do', async () => {
    const group = await elected();
    const { member, failures } = group.leader();
    const written = watch(member.write('x', { type: 'cluster.level', level: 99 }));
    await group.run(200);
    expect(written.state()).toBe('outcome_unknown');
    expect(failures.map(({ code }) => code)).toEqual(['state_newer']);
  });
});
