/**
 * The drills, by the command line alone: 5/3 over three datacenters with ten workers from plain machines; the leader's machine killed; a datacenter cut
 * off and brought back; a machine rebooted; three of five managers destroyed and the swarm rebuilt, with its services still running. Times are printed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { connect } from '../../drivers/docker/driver.ts';
import { partition } from '../../drivers/docker/partition.ts';
import type { ClusterTag } from '../../src/provision/driver.ts';
import { OPTIONS, sh, skipReason, until, type Said } from './stage.ts';

const BELT = fileURLToPath(new URL('../../bin/belt', import.meta.url));
const MINUTES = 60_000;

interface Node { name: string; role: string; status: string; managerStatus: string | null; dockerId: string | null }

describe.skipIf(skipReason !== null)('5/3 with ten workers', { timeout: 20 * MINUTES }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'belt-disaster-'));
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: folder, SHELL: '/bin/bash', DOCKER_API_VERSION: '1.41' };
  const tried = (line: string, input?: string): Promise<Said> => sh('bash', ['-c', `"${BELT}" ${line}`], { cwd: folder, timeoutMs: 18 * MINUTES, env, ...(input === undefined ? {} : { input }) });
  const belt = async (line: string): Promise<string> => {
    const started = Date.now();
    const said = await tried(line);
    console.log(`$ belt ${line}   (${((Date.now() - started) / 1000).toFixed(1)} s)\n${said.stdout}${said.stderr}`.trimEnd());
    expect(said.code, said.stderr).toBe(0);
    return said.stdout;
  };
  const nodes = async (): Promise<Node[]> => JSON.parse((await tried('swarm nodes --json')).stdout) as Node[];
  const tag = (): ClusterTag => {
    const { body } = JSON.parse(readFileSync(path.join(folder, '.belt/drill/state.json'), 'utf8')) as { body: { cluster: { id: string } } };
    return { cluster: 'drill', clusterId: body.cluster.id };
  };
  /** `docker node ls` through `belt env` of a manager. */
  const dockerNodes = async (by: string): Promise<string[]> => {
    const said = await sh('bash', ['-c', `eval $("${BELT}" env ${by}) && timeout 10 docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}'`], { cwd: folder, env });
    if (said.code !== 0) throw new Error(said.stderr);
    return said.stdout.trim().split('\n').map((row) => row.trim()).sort();
  };
  const shown = (by: string, managers: number, ready: number, ms = 3 * MINUTES): Promise<string[]> => until(`${managers} managers, ${ready} ready in Docker`, ms, async () => {
    const rows = await dockerNodes(by);
    return rows.filter((row) => / Ready Active/.test(row)).length === ready && rows.filter((row) => / (Leader|Reachable)$/.test(row)).length === managers && rows;
  });
  const timed = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    const started = Date.now();
    const result = await act();
    console.log(`${what}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return result;
  };
  const running = async (by: string): Promise<number> =>
    (await tried(`--host ${by} docker service ps web --filter desired-state=running --format '{{.CurrentState}}'`)).stdout.split('\n').filter((line) => /^Running/.test(line)).length;

  afterAll(async () => {
    await tried('cluster rm --yes drill');
    rmSync(folder, { recursive: true });
  });

  test('formed from plain machines', async () => {
    await belt('cluster new --driver docker drill');
    await belt("create 1gb 'mg[0:4]' --region sgp1,nyc3,fra1");
    await belt("create 512mb 'node[1:10]' --region sgp1,nyc3,fra1");
    await timed('form 5/3', () => belt("swarm form 5/3 'mg[0:4]'"));
    await belt('exec node10 -- iptables -I INPUT -p tcp --dport 2377 -j DROP');
    const closed = await tried('swarm join mg0 node10');
    console.log(closed.stderr);
    expect(closed).toMatchObject({ code: 1, stderr: expect.stringMatching(/mg0 cannot reach node10 at [\d.]+:2377/) });
    await belt('exec node10 -- iptables -D INPUT -p tcp --dport 2377 -j DROP');
    await timed('join ten workers', () => belt("swarm join mg0 'node[1:10]'"));
    const rows = await shown('mg0', 5, 15);
    console.log(rows.join('\n'));
  });

  test('a service with a datacenter constraint runs there and nowhere else', async () => {
    await sh('bash', ['-c', 'mkdir -p i/bin && cp /bin/busybox i/bin/ && ln -sf busybox i/bin/sleep && tar -C i -cf image.tar .'], { cwd: folder });
    for (const { name } of await nodes()) expect((await tried(`--host ${name} docker import - idle < image.tar`)).code).toBe(0);
    await belt("--host mg0 docker service create --detach --no-resolve-image --name web --replicas 6 --constraint node.labels.belt.region==nyc3 --constraint node.role==worker --endpoint-mode dnsrr idle sleep 100000");
    await until('six tasks', 2 * MINUTES, async () => (await running('mg0')) === 6);
    const on = (await tried("--host mg0 docker service ps web --format '{{.Node}}'")).stdout.trim().split('\n');
    expect(new Set(on)).toEqual(new Set(['node2', 'node5', 'node8']));
    await belt('--host mg0 docker service update --detach --no-resolve-image --constraint-rm node.labels.belt.region==nyc3 web');
  });

  test('the leader’s machine is killed: both planes elect', async () => {
    const leader = (await nodes()).find((node) => node.managerStatus === 'leader')?.name ?? '';
    const other = leader === 'mg1' ? 'mg2' : 'mg1';
    await belt(`kill --yes ${leader}`);
    const started = Date.now();
    await until('the agents have another leader', MINUTES, async () => (await nodes()).some((node) => node.managerStatus === 'leader' && node.name !== leader));
    console.log(`agents: another leader after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await until('Docker has another leader', MINUTES, async () => (await dockerNodes(other)).some((row) => / Leader$/.test(row) && !row.startsWith(`${leader} `)));
    console.log(`Docker: another leader after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await belt(`start ${leader}`);
    await timed('back in both', () => shown(other, 5, 15, 4 * MINUTES));
  });

  test('a datacenter is cut off and brought back', async () => {
    const docker = connect(OPTIONS, env);
    await partition(docker, tag(), 'fra1', true);
    const seen = await timed('its manager is seen to be gone', () => until('unreachable', 3 * MINUTES, async () => {
      const rows = await dockerNodes('mg0');
      return rows.filter((row) => / Down /.test(row)).length === 4 && rows;
    }));
    console.log(seen.join('\n'));
    await belt('--host mg0 docker service ls');
    await partition(docker, tag(), 'fra1', false);
    await timed('healed', () => shown('mg0', 5, 15, 4 * MINUTES));
  });

  test('a machine is rebooted and back by itself', async () => {
    await belt('stop node3');
    await belt('start node3');
    await timed('back', () => shown('mg0', 5, 15));
    await until('its agent', MINUTES, async () => (await nodes()).every((node) => node.status === 'ready'));
  });

  test('three of five managers are destroyed; rebuild; services still run', async () => {
    await until('six tasks before', 2 * MINUTES, async () => (await running('mg0')) === 6);
    const all = (await nodes()).filter((node) => node.role === 'manager').map((node) => node.name).sort();
    const [lost, kept] = [all.slice(0, 3), all.slice(3)];
    await belt(`rm --yes --force ${lost.join(' ')}`);
    const started = Date.now();
    await belt('swarm rebuild --yes');
    console.log(`agents rebuilt after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await until('Docker: two managers, twelve ready, no ghosts', 4 * MINUTES, async () => {
      for (const by of kept) {
        const rows = await dockerNodes(by).catch(() => []);
        if (rows.length === 12 && rows.every((row) => / Ready /.test(row)) && rows.filter((row) => / (Leader|Reachable)$/.test(row)).length === 2) return rows;
      }
      return null;
    });
    console.log(`Docker rebuilt after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await until('six tasks after', 2 * MINUTES, async () => (await running(kept[0] ?? '')) === 6 || (await running(kept[1] ?? '')) === 6);
    await belt('swarm rebuild --yes');
    console.log(await belt('swarm status'));
  });
});
