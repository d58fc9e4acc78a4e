/** Lines typed in the wrong order, twice, or about names nobody has, on a real swarm of `local`: nothing is lost by them, and each is told what it is about. */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { createAuthority, exportKey } from '../../src/certs/authority.ts';
import { splitPem } from '../../src/certs/identity.ts';
import { CrashSite, type Ended } from '../crash/crash.ts';

const site = new CrashSite();
afterAll(async () => {
  await site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  site.remove();
});

const belt = (line: string): Promise<Ended> => site.belt(line.split(' '));
const done = (line: string): Promise<string> => site.done(line);
/** A line that did nothing. */
async function refused(line: string, code: number, why: string): Promise<void> {
  expect({ line, ...(await belt(line)) }).toMatchObject({ line, code, stdout: '', stderr: expect.stringContaining(why) as string });
}
const file = (name: string): string => path.join(site.folder, '.belt', 'default', name);
const roots = (): string[] => splitPem(readFileSync(file('ca.crt'), 'utf8'));

describe('before there is a swarm', { timeout: 60_000 }, () => {
  it('nothing of a new CA is made', async () => {
    await done('create 512mb mg[0:2] --region a,b,c');
    await refused('certs rotate', 1, 'form no swarm yet');
    expect([roots().length, existsSync(file('ca.crt.next'))]).toEqual([1, false]);
  });

  it('there is nothing to rebuild', async () => {
    await refused('swarm rebuild --yes', 1, 'form no swarm yet');
  });
});

describe('a swarm of three', { timeout: 120_000 }, () => {
  it('rotates to a CA that its nodes trusted from the start, as one made before the swarm', async () => {
    const { body } = JSON.parse(readFileSync(file('state.json'), 'utf8')) as { body: { cluster: { id: string } } };
    const early = createAuthority(body.cluster.id, Date.now(), 2);
    writeFileSync(file('ca.key.next'), exportKey(early), { mode: 0o600 });
    writeFileSync(file('ca.crt.next'), early.certificate, { mode: 0o600 });
    appendFileSync(file('ca.crt'), early.certificate);
    await done('swarm form 3/3 mg[0:2]');
    await done('create 512mb node1 node2');
    await done('swarm join mg0 node1');
    await done('certs rotate');
    expect(roots().map((root) => root.trim())).toEqual([early.certificate.trim()]);
    await done('swarm nodes');
    await done('swarm label node1 after=rotation');
  });

  it('init of a manager finds it done, whoever leads', async () => {
    const already = (name: string): string => `${name}: This node is part of the swarm already, as a manager.\n`;
    for (const name of ['mg0', 'mg1', 'mg2']) expect(await done(`swarm init ${name}`)).toBe(already(name));
  });

  it('a name that no node has ends a line before anything is done', async () => {
    for (const line of ['swarm promote nope node1', 'swarm demote mg1 nope', 'swarm availability drain node1 nope']) await refused(line, 1, 'no node of the swarm is called nope; nothing was done');
    const nodes = JSON.parse(await done('swarm nodes --json')) as { name: string; role: string; availability: string }[];
    expect(nodes.map(({ name, role, availability }) => `${name} ${role} ${availability}`)).toEqual(['mg0 manager active', 'mg1 manager active', 'mg2 manager active', 'node1 worker active']);
  });

  it('labels are named', async () => {
    expect(await done('swarm label node1 disk=ssd rack=4 after-')).toBe('node1: disk=ssd, rack=4, no after\n');
    expect(await done('swarm label node1 disk=ssd after-')).toBe('node1: disk=ssd, no after already\n');
  });

  it('a machine without an agent is no node, and leaving says so', async () => {
    expect(await done('swarm leave --yes node2')).toBe('node2: is no node of the swarm\n');
  });

  it("an operator's earlier certificate goes on until it is revoked by its number, and nobody else's is", async () => {
    expect((await belt('certs operator alice')).stderr).toBe('');
    const { code, stderr } = await belt('certs operator alice');
    const [, serial] = /^alice: an earlier certificate is not revoked, and runs out .*; to end it now: belt certs operator --revoke ([0-9a-f]+)\n$/.exec(stderr) ?? [];
    expect([code, serial]).toEqual([0, expect.any(String)]);
    expect(await done(`certs operator --revoke ${serial}`)).toBe(`${serial}: revoked ${serial}\n`);
    expect(await done('certs operator --revoke alice')).toMatch(/^alice: revoked [0-9a-f]+\n$/);
    expect(await done('certs operator --revoke alice')).toBe('alice: nothing to revoke\n');
    await refused('certs operator --revoke alcie', 1, 'belt certs ls');
    await refused('certs operator --out elsewhere', 2, 'belt certs operator NAME --out FOLDER');
  });

  it('certificates are listed by role and name', async () => {
    const listed = (JSON.parse(await done('certs ls --json')) as { role: string; name: string }[]).map(({ role, name }) => `${role} ${name}`);
    expect([...new Set(listed)].filter((row) => !row.startsWith('operator '))).toEqual(['ca belt CA 2', 'manager mg0', 'manager mg1', 'manager mg2', 'worker node1']);
    expect(listed.filter((row) => row.startsWith('operator ')).slice(0, 2)).toEqual(['operator alice', 'operator alice']);
  });

  it('managers are found again where what was remembered of them is lost', async () => {
    rmSync(file('agents.json'));
    await refused('kill mg0 mg1', 5, 'killing mg0, mg1 leaves 1 of 3 managers reachable, 2 needed');
    rmSync(file('agents.json'), { force: true });
    expect(await done('swarm status')).toMatch(/3 of 3 managers reachable/);
  });
});
