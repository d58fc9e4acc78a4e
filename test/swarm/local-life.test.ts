/** A swarm's life on `local`, line by line as one would type it: real SSH, real agents, processes that are killed. */
import { afterAll, describe, expect, it } from 'vitest';

import { CrashSite, type Ended } from '../crash/crash.ts';

const site = new CrashSite();
afterAll(async () => {
  await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  site.remove();
});

/** Runs a line of words without blanks in them. */
const belt = (line: string): Promise<Ended> => site.belt(line.split(' '));
const done = (line: string): Promise<string> => site.done(line);
async function timed(line: string): Promise<Ended & { readonly ms: number }> {
  const began = performance.now();
  return { ...(await belt(line)), ms: performance.now() - began };
}
interface Node {
  readonly name: string;
  readonly role: string;
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
}
const nodes = async (): Promise<Node[]> => JSON.parse(await done('swarm nodes --json')) as Node[];
/** Asks until it is so; each question is an event of its own, and the test's time is the deadline. */
async function until(line: string, wanted: (ended: Ended) => boolean): Promise<void> {
  while (!wanted(await belt(line)));
}

describe('a swarm of five managers over three datacenters', { timeout: 120_000 }, () => {
  it('is bootstrapped, formed and joined; a second time nothing changes', async () => {
    await done('create 512mb mg[0:4] --region a,b,c');
    await done('create 512mb node[1:2] --region a,b');
    expect(await done('bootstrap --dry-run mg0')).toMatch(/^mg0: would link Node\.js, install the agent/);
    expect(await done('bootstrap mg[0:4]')).toMatch(/^mg\[0:4\]: done: .*\n$/);
    expect(await done('bootstrap mg[0:4]')).toBe('mg[0:4]: nothing to do\n');

    expect((await done('swarm form 5/3 mg[0:4]')).split('\n')[0]).toBe('mg0: This node made the swarm and manages it.');
    expect((await done('swarm form 5/3 mg[0:4]')).match(/part of the swarm already, as a manager/g)).toHaveLength(5);
    expect(await done('swarm join mg1 node[1:2]')).toBe('node1: This node joined a swarm as a worker.\nnode2: This node joined a swarm as a worker.\n');
    expect(await done('swarm join mg1 node[1:2]')).toMatch(/^node1: This node is part of the swarm already, as a worker\./);

    expect((await nodes()).map(({ name, role, status }) => [name, role, status])).toEqual([
      ...['mg0', 'mg1', 'mg2', 'mg3', 'mg4'].map((name) => [name, 'manager', 'ready']), ['node1', 'worker', 'ready'], ['node2', 'worker', 'ready'],
    ]);
    const status = JSON.parse(await done('swarm status --json')) as Record<string, unknown>;
    expect(Object.keys(status)).toEqual(expect.arrayContaining(['leader', 'term', 'managers', 'workers', 'quorum', 'reachable', 'tolerates', 'warnings']));
    const [summary] = JSON.parse(await done('cluster ls --json')) as Record<string, unknown>[];
    expect(summary).toMatchObject({ cluster: 'default', leader: status['leader'], managers: ['mg0', 'mg1', 'mg2', 'mg3', 'mg4'], ready: 7, total: 7 });
    expect(status).toMatchObject({ quorum: 3, reachable: 5, workers: { ready: 2, total: 2 }, tolerates: { nodes: 2 } });
  });

  it("the certificate that made the swarm can be revoked by its operator's name, and another be made", async () => {
    const own = (JSON.parse(await done('certs ls --json')) as { role: string; name: string; serial: string }[]).find(({ role }) => role === 'operator');
    expect((await belt(`certs operator --revoke ${own?.name}`)).code).toBe(5);
    expect(await done(`certs operator --revoke ${own?.name} --yes`)).toBe(`${own?.name}: revoked ${own?.serial}\n`);
    expect(await belt('swarm nodes')).toMatchObject({ code: 1, stderr: expect.stringContaining('is revoked') as string });
    expect((await belt('certs operator')).stderr).toBe('');
    await done('swarm nodes');
  });

  it('lets a frozen machine go on when it is started', async () => {
    await done('pause mg4');
    await done('start mg4');
    expect(await done('bootstrap mg4')).toBe('mg4: nothing to do\n');
    await until('swarm status --json', ({ code, stdout }) => code === 0 && (JSON.parse(stdout) as { reachable: number }).reachable === 5);
  });

  it('writes with two managers killed, refuses to lose the third, and says so when it is lost', async () => {
    await done('kill mg0 mg1');
    await until('swarm label node1 after=two', ({ code }) => code === 0);
    expect(await belt('kill mg2')).toMatchObject({ code: 5, stderr: expect.stringContaining('killing mg2 leaves 2 of 5 managers reachable, 3 needed') });
    await done('kill --force mg2');
    for (const line of ['swarm status', 'swarm label node1 never=seen', 'swarm token worker', 'swarm promote node1', 'swarm join mg4 node2', 'swarm nodes', 'certs ls']) {
      // What a line costs that asks nobody is this machine's business, which may be busy with other suites.
      const { ms: bareMs } = await timed('topology 5/3');
      const { code, stderr, ms } = await timed(line);
      expect([line, code, stderr.includes('2 of 5 managers reachable, 3 needed')]).toEqual([line, 5, true]);
      expect.soft([line, ms - bareMs < 3000 ? 'soon' : `${ms} ms, ${bareMs} ms of it bare`]).toEqual([line, 'soon']);
    }
    const { stdout, stderr } = await belt('swarm nodes --json');
    expect(stderr).toContain('this is the last known state');
    expect((JSON.parse(stdout) as Node[]).map(({ status }) => status)).toEqual(Array.from({ length: 7 }, () => 'unknown'));
    await done('start mg[0:2]');
    await until('swarm status --json', ({ code, stdout: text }) => code === 0 && (JSON.parse(text) as { reachable: number }).reachable === 5);
    expect((await nodes()).find(({ name }) => name === 'node1')?.labels).toEqual({ after: 'two' });
  });

  it('is rebuilt when three of five are gone for good, twice', async () => {
    for (const round of [1, 2]) {
      const managers = (await nodes()).filter(({ role }) => role === 'manager').map(({ name }) => name);
      await done(`rm --yes --force ${managers.slice(0, 3).join(' ')}`);
      expect((await belt('swarm status')).code).toBe(5);
      expect((await belt('swarm rebuild')).code).toBe(5);
      const spare = Array.from({ length: 3 }, (_, at) => `new${round}-${at}`);
      await done(`create 512mb ${spare.join(' ')} --region a,b,c`);
      const said = await done(`swarm rebuild --yes --managers ${spare.join(',')}`);
      expect(said).toMatch(/made the swarm anew, with everything it knew/);
      expect(await done('swarm rebuild --yes')).toMatch(/has its quorum, led by .*: nothing to reform/);
      const now = await nodes();
      expect(now.filter(({ role }) => role === 'manager').map(({ name }) => name).sort()).toEqual([...managers.slice(3), ...spare].sort());
      await until('swarm nodes --json', ({ code, stdout }) => code === 0 && (JSON.parse(stdout) as Node[]).every(({ status }) => status === 'ready'));
      expect((await nodes()).find(({ name }) => name === 'node1')?.labels).toEqual({ after: 'two' });
    }
  });

  it('takes back by itself a majority that was off while it was rebuilt', async () => {
    const managers = (await nodes()).filter(({ role }) => role === 'manager').map(({ name }) => name);
    const off = managers.slice(0, 3);
    await done(`kill --force ${off.join(' ')}`);
    const { stderr } = await belt('swarm rebuild --yes');
    expect(stderr).toContain('did not answer and so missed the rebuild: managers among them come back by themselves once they run');
    await done('swarm label node1 since=rebuild');
    await done(`start ${off.join(' ')}`);
    await until('swarm status --json', ({ code, stdout }) => code === 0 && (JSON.parse(stdout) as { reachable: number }).reachable === 5);
    await until('swarm nodes --json', ({ code, stdout }) => code === 0 && (JSON.parse(stdout) as Node[]).every(({ status }) => status === 'ready'));
    expect((await nodes()).find(({ name }) => name === 'node1')?.labels).toEqual({ after: 'two', since: 'rebuild' });
  });

  it('forgets nodes whose machines are destroyed, as long as the managers can be told', async () => {
    await done('create 512mb extra --region a');
    await done(`swarm join ${(await nodes())[0]?.name ?? ''} extra`);
    await done('rm --yes extra');
    expect((await nodes()).some(({ name }) => name === 'extra')).toBe(false);
  });

  it('changes roles, tokens and certificates, and lets nodes go', async () => {
    expect(await done('swarm promote node1')).toBe('node1: is now a manager\n');
    expect(await done('swarm promote node1')).toBe('node1: was already a manager\n');
    expect(await done('swarm demote node1')).toBe('node1: is now a worker\n');
    expect(await done('swarm availability drain node1')).toBe('node1: drain\n');
    const [before, after] = [await done('swarm token worker'), await done('swarm token --rotate worker')];
    expect(before).toMatch(/^BELT-1-[0-9a-f]{64}-[a-z2-7]{32}\n$/);
    expect(after).not.toBe(before);
    expect(await done('certs renew node1')).toMatch(/^node1: renewed until 20/);
    expect(await done('certs rotate')).toMatch(/^The CA is replaced/);
    expect(await done('swarm token worker')).not.toBe(after);
    expect(await done('swarm leave --yes node2')).toBe('node2: left the swarm\n');
    expect(await done('swarm leave --yes node2')).toBe('node2: is no node of the swarm\n');
    expect((await nodes()).some(({ name }) => name === 'node2')).toBe(false);
    // What it holds is of the CA before the rotation: it is given another on the way.
    expect(await belt('swarm join node1 node2')).toMatchObject({ code: 5, stderr: expect.stringContaining('node1 is no manager of the swarm') });
    expect(await done(`swarm join ${(await nodes())[0]?.name ?? ''} node2`)).toBe('node2: This node joined a swarm as a worker.\n');
  });

  it('ends when everybody leaves, and can be formed anew', async () => {
    const all = (await nodes()).map(({ name }) => name);
    expect((await belt(`swarm leave --yes ${all.join(' ')}`)).code).toBe(5);
    await done(`swarm leave --yes --force ${all.join(' ')}`);
    expect((await belt('swarm nodes')).stderr).toContain('form no swarm yet');
    expect((await done(`swarm init ${all[0]}`)).trim()).toBe(`${all[0]}: This node made the swarm and manages it.`);
    expect((await nodes()).map(({ name }) => name)).toEqual([all[0]]);
  });
});
