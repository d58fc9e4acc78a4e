/**
 * Hosts that exist already: machines of the docker driver, listed in `.belt.yml` under `generic:` and taken over by the command line alone. Half of
 * them are down, one refuses the key while it boots, one shows another host key than before, and all of them outlive the cluster.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createDriver } from '../../drivers/docker/driver.ts';
import type { Machine } from '../../src/provision/driver.ts';
import { clear, clusterTag, make, OPTIONS, order, sh, skipReason, sshKey, until, type Said } from './stage.ts';

/** Engines take a minute and are what other suites are about; `generic.large.ts` has them. */
const ENGINE = process.env['BELT_E2E'] === 'large' ? 'docker' : 'none';
const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));

describe.skipIf(skipReason !== null)('hosts that exist already', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-generic-'));
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: folder, SHELL: '/bin/bash' };
  const driver = createDriver(OPTIONS);
  const tag = clusterTag('hosts');
  let hosts: Machine[] = [];
  let owner: Awaited<ReturnType<typeof sshKey>>;

  const tried = async (line: string): Promise<Said> => {
    const said = await sh('bash', ['-c', `"${BELT}" ${line}`], { cwd: folder, timeoutMs: 280_000, env });
    console.log(`$ belt ${line}   exit ${said.code}\n${said.stdout}${said.stderr}`.trimEnd());
    return said;
  };
  const belt = async (line: string): Promise<string> => {
    const said = await tried(line);
    expect(said.code, said.stderr).toBe(0);
    return said.stdout;
  };
  const address = (host: number): string => hosts[host]?.publicIpv4 ?? '';
  const power = async (action: 'kill' | 'start', ...which: number[]): Promise<void> => {
    for (const outcome of await driver.power(which.map((host) => hosts[host]?.id ?? ''), action, AbortSignal.timeout(60_000))) if (!outcome.ok) throw outcome.error;
  };
  /** As the owner of the host, who is in already. */
  const on = async (host: number, command: string): Promise<string> => {
    const said = await until(`the owner on host ${host}`, 60_000, async () => {
      const tried = await owner.ssh(address(host), command);
      return tried.code !== 255 && tried;
    });
    expect(said.code, said.stderr).toBe(0);
    return said.stdout.trim();
  };
  const letIn = (host: number): Promise<string> => on(host, `echo '${readFileSync(path.join(folder, '.belt/site/ssh_key.pub'), 'utf8').trim()}' >> /root/.ssh/authorized_keys`);
  const status = async (): Promise<string[]> => (JSON.parse(await belt('ls --json')) as Machine[]).map(({ name, status: is, datacenter }) => `${name} ${is} ${datacenter}`);

  beforeAll(async () => {
    owner = await sshKey(folder);
    hosts = await make(driver, order(tag, [['h1', 'x'], ['h2', 'x'], ['h3', 'x'], ['h4', 'x']], owner.publicKey));
    const [h1, ...rest] = hosts;
    const listed = [`{name: mg0, address: ${h1?.publicIpv4}, region: rack1}`, ...rest.map((host, at) => `{address: ${host.publicIpv4}, region: rack${(at % 2) + 1}}`)];
    writeFileSync(path.join(folder, '.belt.yml'), `driver: generic\nengine: ${ENGINE}\ngeneric:\n  timeout: 1\n  hosts:\n${listed.map((line) => `    - ${line}\n`).join('')}`);
    for (const host of hosts.keys()) await on(host, 'true');
    await belt('cluster new site');
  });
  afterAll(async () => {
    await clear(driver, tag);
    rmSync(folder, { recursive: true });
  });

  test('half of them down: the others are taken over, each that is missing is named', async () => {
    await power('kill', 2, 3);
    const said = await tried("create any mg0 'node[1:3]'");
    expect(said.code).toBe(3);
    expect(said.stderr).toMatch(/2 of 4 machines were not made:\n {2}node2: no free host.*\n {2}node3: no free host/);
    for (const host of [2, 3]) expect(said.stderr).toContain(`${address(host)}:22`);
    expect(await status()).toEqual(['mg0 active generic:rack1', 'node1 active generic:rack1']);
    await power('start', 2, 3);
    for (const host of [2, 3]) await on(host, 'true');
    await belt("create any mg0 'node[1:3]'");
    expect((await status()).map((line) => line.split(' ')[1])).toEqual(['active', 'active', 'active', 'active']);
  });

  test('a key that is refused is not the end: the host may be booting', async () => {
    const bootstrap = spawn(BELT, ['bootstrap', 'mg0'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    bootstrap.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
    bootstrap.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
    const ended = once(bootstrap, 'close');
    await until('a refusal', 60_000, () => Promise.resolve(said.stderr.includes('refuses the SSH key for user root; it may be booting')));
    await letIn(0);
    expect([(await ended)[0], said.stdout], said.stderr).toEqual([0, expect.stringMatching(/^mg0: done: /)]);
    expect(said.stderr).toContain(`ssh-copy-id -f -i ${folder}/.belt/site/ssh_key.pub -p 22 root@${address(0)}`);
    for (const host of [1, 2, 3]) await letIn(host);
  });

  test('bootstrapped, formed, joined: a swarm of hosts, those that went down left out', async () => {
    await power('kill', 3);
    const down = (await status()).find((line) => line.includes(' off '))?.split(' ')[0] ?? '';
    const names = ['node1', 'node2', 'node3'].filter((name) => name !== down);
    await belt(`swarm form 1/1 mg0`);
    const joined = await tried(`swarm join mg0 ${names.join(' ')}`);
    expect([joined.code, joined.stdout.trimEnd().split('\n').sort()], joined.stderr).toEqual([0, names.map((name) => `${name}: This node joined a swarm as a worker.`)]);
    const nodes = JSON.parse(await belt('swarm nodes --json')) as { name: string; status: string; engine: string; dockerId: string | null }[];
    const isDocker = ENGINE === 'docker';
    expect(nodes.map((node) => [node.name, node.status, node.engine, node.dockerId !== null])).toEqual(['mg0', ...names].map((name) => [name, 'ready', ENGINE, isDocker]));
    const both = await tried(`exec ${names[0]} ${down} -- true`);
    expect(both.code).toBe(3);
    expect(both.stderr).toContain(`${down}`);
    await power('start', 3);
  });

  test('a changed host key is refused, with the way out', async () => {
    await on(1, "rm /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; systemctl restart ssh");
    const name = (JSON.parse(await belt('ls --json')) as Machine[]).find((machine) => machine.publicIpv4 === address(1))?.name ?? '';
    const refused = await tried(`bootstrap ${name}`);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(new RegExp(`${name} shows host key .* SHA256:.*, pinned is .* SHA256:`))]);
    const wayOut = /belt (bootstrap --accept-new-host-key \S+)/.exec(refused.stderr)?.[1] ?? '';
    expect(await belt(wayOut)).toContain(`${name}: `);
    expect(await belt(`bootstrap ${name}`)).toBe(`${name}: nothing to do\n`);
  });

  test('rm forgets and never destroys', async () => {
    await on(0, 'echo precious > /root/file');
    const said = await tried("rm --yes --force mg0 'node[1:3]'");
    expect([said.code, said.stdout.match(/forgotten; the host goes on running/g)?.length], said.stderr).toEqual([0, 4]);
    expect(await status()).toEqual([]);
    expect(await on(0, 'cat /root/file')).toBe('precious');
    expect((await driver.list(tag, AbortSignal.timeout(30_000))).map((host) => host.status)).toEqual(['active', 'active', 'active', 'active']);
    await belt('create any again');
    await belt('cluster rm --yes site');
    expect(await on(0, 'cat /root/file')).toBe('precious');
  });
});
