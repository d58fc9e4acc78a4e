/**
 * The drills, by the command line alone: 5/3 over three datacenters with ten workers from plain machines; the leader's machine killed; a datacenter cut
 * off and brought back; a machine rebooted; three of five managers destroyed and the swarm rebuilt, with its services still running. Times are printed.
 */
import { afterAll, describe, expect, test } from 'vitest';

import { connect } from '../../drivers/docker/driver.ts';
import { partition } from '../../drivers/docker/partition.ts';
import { Session } from './session.ts';
import { OPTIONS, skipReason, until } from './stage.ts';

const MINUTES = 60_000;
/** The workers of datacenter docker:nyc3. */
const NYC3 = ['node2', 'node5', 'node8'];

describe.skipIf(skipReason !== null)('5/3 with ten workers', { timeout: 20 * MINUTES }, () => {
  const session = new Session('drill');
  const belt = session.belt.bind(session);
  const nodes = session.nodes.bind(session);
  /** The running containers of the service, by the machine they are on. */
  const containers = async (): Promise<Map<string, string>> => {
    const said = (await session.tried("--host 'node[1:10]' docker ps --no-trunc --filter label=com.docker.swarm.service.name=web --format '{{.ID}}'")).stdout;
    return new Map([...said.matchAll(/^(\S+)\s+([0-9a-f]{64})$/gm)].map(([, machine = '', id = '']) => [id, machine]));
  };
  const running = async (by: string): Promise<number> =>
    (await session.docker(by, "service ps web --filter desired-state=running --format '{{.CurrentState}}'")).split('\n').filter((line) => /^Running/.test(line)).length;

  afterAll(() => session.close());

  test('formed from plain machines', async () => {
    await belt('cluster new --driver docker drill');
    await belt("create 1gb 'mg[0:4]' --region sgp1,nyc3,fra1");
    await belt("create 512mb 'node[1:10]' --region sgp1,nyc3,fra1");
    await session.timed('form 5/3', () => belt("swarm form 5/3 'mg[0:4]'"));
    await belt('exec node10 -- iptables -I INPUT -p tcp --dport 2377 -j DROP');
    const closed = await session.tried('swarm join mg0 node10');
    console.log(closed.stderr);
    expect(closed).toMatchObject({ code: 1, stderr: expect.stringMatching(/mg0 cannot reach node10 at [\d.]+:2377/) });
    await belt('exec node10 -- iptables -D INPUT -p tcp --dport 2377 -j DROP');
    await session.timed('join ten workers', () => belt("swarm join mg0 'node[1:10]'"));
    await session.shown('mg0', 5, 15);
    console.log(await session.docker('mg0', 'node ls'));
    await belt('swarm label node5 disk=ssd');
  });

  test('a service with a datacenter constraint runs there and nowhere else', async () => {
    await session.shell('mkdir -p i/bin && cp /bin/busybox i/bin/ && ln -sf busybox i/bin/sleep && tar -C i -cf image.tar .');
    for (const { name } of await nodes()) expect((await session.tried(`--host ${name} docker import - idle < image.tar`)).code).toBe(0);
    await belt("--host mg0 docker service create --detach --no-resolve-image --name web --replicas 6 --constraint node.labels.belt.datacenter==docker:nyc3 --constraint node.role==worker --endpoint-mode dnsrr idle sleep 100000");
    await until('six tasks', 2 * MINUTES, async () => (await running('mg0')) === 6);
    // Every task that ever was, so that none has been anywhere else before.
    const on = (await session.docker('mg0', "service ps web --format '{{.Node}}'")).trim().split('\n');
    console.log(`tasks on ${on.join(' ')}`);
    expect(new Set(on)).toEqual(new Set(NYC3));
    expect(new Set((await containers()).values())).toEqual(new Set(NYC3));
    await belt('--host mg0 docker service update --detach --no-resolve-image --constraint-rm node.labels.belt.datacenter==docker:nyc3 web');
  });

  test('the leader’s machine is killed: both planes elect', async () => {
    const ofAgentsNow = async (): Promise<string | undefined> => (await nodes()).find((node) => node.managerStatus === 'leader')?.name;
    const ofDockerNow = async (by: string): Promise<string | undefined> => (await session.dockerNodes(by)).find((row) => / Leader$/.test(row))?.split(' ')[0];
    const [ofAgents = '', ofDocker = ''] = [await ofAgentsNow(), await ofDockerNow('mg4')];
    const killed = [...new Set([ofAgents, ofDocker])];
    const other = ['mg0', 'mg1', 'mg2'].find((name) => !killed.includes(name)) ?? '';
    console.log(`the agents are led by ${ofAgents}, Docker by ${ofDocker}`);
    await belt(`kill --yes ${killed.join(' ')}`);
    const started = Date.now();
    const elected = (what: string, leading: () => Promise<string | undefined>): Promise<unknown> => until(`${what}: another leader`, MINUTES, async () => {
      const now = await leading();
      return now !== undefined && !killed.includes(now);
    }).then(() => console.log(`${what}: another leader after ${((Date.now() - started) / 1000).toFixed(1)} s`));
    await Promise.all([elected('agents', ofAgentsNow), elected('Docker', () => ofDockerNow(other))]);
    await belt(`start ${killed.join(' ')}`);
    await session.timed('back in both', () => session.shown(other, 5, 15, 4 * MINUTES));
  });

  test('a datacenter is cut off and brought back', async () => {
    const docker = connect(OPTIONS, session.env);
    await partition(docker, session.tag, 'fra1', true);
    const seen = await session.timed('its manager and its workers are seen to be gone', () => until('four nodes down', 3 * MINUTES, async () => {
      const rows = await session.dockerNodes('mg0');
      return rows.filter((row) => / Down /.test(row)).length === 4 && rows;
    }));
    console.log(seen.join('\n'));
    await belt('--host mg0 docker service ls');
    await partition(docker, session.tag, 'fra1', false);
    await session.timed('healed', () => session.shown('mg0', 5, 15, 4 * MINUTES));
  });

  test('a machine is rebooted and back by itself', async () => {
    // Docker's list shows it as ready for a while whether it is there or not: its own word counts, of an engine and an agent that started anew.
    const since = (): Promise<string> => session.on('node3', 'systemctl show --value -p ExecMainStartTimestamp docker belt-agent');
    const before = await since();
    await belt('stop node3');
    await belt('start node3');
    await session.timed('back', () => until('engine and agent of node3', 2 * MINUTES, async () => {
      const [own, ...started] = (await session.on('node3', 'docker info --format {{.Swarm.LocalNodeState}}; systemctl show --value -p ExecMainStartTimestamp docker belt-agent')).trim().split('\n');
      return own === 'active' && started.filter((line) => line !== '').every((line) => !before.includes(line));
    }));
    await session.shown('mg0', 5, 15);
    await until('its agent', MINUTES, async () => (await nodes()).every((node) => node.status === 'ready'));
  });

  test('three of five managers are destroyed; rebuild; services still run, labels are kept', async () => {
    await until('six tasks before', 2 * MINUTES, async () => (await running('mg0')) === 6);
    const labels = async (by: string): Promise<string[]> => {
      const ids = (await session.docker(by, 'node ls -q')).trim().split('\n').join(' ');
      return (await session.docker(by, `node inspect --format '{{.Description.Hostname}} {{json .Spec.Labels}}' ${ids}`)).trim().split('\n').sort();
    };
    const labelled = await labels('mg0');
    const before = await until('six containers', MINUTES, async () => {
      const found = await containers();
      return found.size === 6 && found;
    });
    const all = (await nodes()).filter((node) => node.role === 'manager').map((node) => node.name).sort();
    const [lost, kept] = [all.slice(0, 3), all.slice(3)];
    await belt(`rm --yes --force ${lost.join(' ')}`);
    const started = Date.now();
    await belt('swarm rebuild --yes');
    console.log(`belt swarm rebuild: ${((Date.now() - started) / 1000).toFixed(1)} s`);
    const by = await until('Docker: two managers, twelve ready, no ghosts', 4 * MINUTES, async () => {
      for (const name of kept) {
        const rows = await session.dockerNodes(name).catch(() => []);
        if (rows.length === 12 && rows.every((row) => / Ready Active/.test(row)) && rows.filter((row) => / (Leader|Reachable)$/.test(row)).length === 2) return name;
      }
      return null;
    });
    console.log(`Docker rebuilt after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    await until('six tasks after', 2 * MINUTES, async () => (await running(by)) === 6);
    console.log(await session.docker(by, 'node ls'));
    console.log(await session.docker(by, 'service ps web --filter desired-state=running'));
    const after = await containers();
    console.log(`${[...before.keys()].filter((id) => after.has(id)).length} of ${before.size} containers ran all along`);
    // More than these: a worker that found the new manager late counts as down for a while, and Docker starts its tasks elsewhere too.
    expect([...after.keys()]).toEqual(expect.arrayContaining([...before.keys()]));
    expect(await labels(by)).toEqual(labelled.filter((row) => !lost.includes(row.split(' ')[0] ?? '')));
    expect(labelled).toContainEqual(expect.stringMatching(/^node5 .*"disk":"ssd"/));
    await belt('swarm rebuild --yes');
    console.log(await belt('swarm status'));
  });
});
