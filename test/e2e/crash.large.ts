/**
 * Joins, leaves and changes of role while something dies by kill -9 at a chosen moment: Docker Engine (of the node itself, of Docker's leader), an agent
 * (of the node itself, of the managers' leader), the CLI. The same line again must end well each time, with both planes of one mind and no ghost left.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { deaths, type Death } from '../crash/crash.ts';
import { Session } from './session.ts';
import { skipReason, until } from './stage.ts';

const MINUTES = 60_000;
const SEED = Number(process.env['BELT_CRASH_SEED'] ?? 1);
const CLI_DEATHS = Number(process.env['BELT_CRASH_SEEDS'] ?? 4);
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const DIE_AT = fileURLToPath(new URL('../crash/die-at.ts', import.meta.url));
const SWARM_FOLDER = '/var/lib/docker/swarm';

/** What dies: a process of a machine, by the name systemd knows it under. */
const DOCKERD = { unit: 'docker.service', what: 'dockerd' } as const;
const AGENT = { unit: 'belt-agent.service', what: 'the agent' } as const;
type Victim = typeof DOCKERD | typeof AGENT;

/** Shell that ends with 0 when the moment has come. */
const MOMENT = {
  asked: `[ -e ${SWARM_FOLDER}/docker-state.json ]`,
  certified: `[ -e ${SWARM_FOLDER}/certificates/swarm-node.crt ]`,
  in: `grep -q JoinInProgress.:false ${SWARM_FOLDER}/docker-state.json`,
  now: 'true',
  out: `! [ -e ${SWARM_FOLDER}/docker-state.json ]`,
  manages: `[ -e ${SWARM_FOLDER}/raft ]`,
  worksOnly: '[ "$(docker info --format {{.Swarm.ControlAvailable}})" = false ]',
  agentManages: '[ -e /var/lib/belt/raft ]',
} as const;

describe.skipIf(skipReason !== null)('killed in the middle', { timeout: 10 * MINUTES }, () => {
  const session = new Session('crash');
  const belt = session.belt.bind(session);

  beforeAll(async () => {
    await belt('cluster new --driver docker crash');
    await belt("create 1gb 'mg[0:2]' --region a,b,c");
    await belt("create 512mb 'node[1:3]' --region a,b,c");
    await belt("swarm form 3/3 'mg[0:2]'");
    await belt("bootstrap 'node[1:3]'");
  }, 10 * MINUTES);
  afterAll(() => session.close(), 2 * MINUTES);

  /** Lies in wait on a machine; resolves when it waits. What it killed and when is written to /run/killed there. */
  async function lieInWait(machine: string, victim: Victim, moment: string): Promise<void> {
    const script = `touch /run/waits; until ${moment}; do sleep 0.01; done; systemctl kill --signal=KILL --kill-who=main ${victim.unit} && touch /run/killed`;
    await session.on(machine, [
      `rm -f /run/killed /run/waits; systemctl reset-failed ${DOCKERD.unit} || true`,
      `echo ${Buffer.from(script).toString('base64')} | base64 -d > /run/lie-in-wait; systemd-run --quiet --collect sh /run/lie-in-wait`,
      'until [ -e /run/waits ]; do sleep 0.05; done',
    ].join('\n'));
  }

  /** Both planes name these and nobody else, all well. */
  async function agreed(managers: readonly string[], workers: readonly string[]): Promise<void> {
    await session.shown('mg0', managers.length, managers.length + workers.length, 2 * MINUTES);
    const rows = await until('the agents agree', MINUTES, async () => {
      const found = await session.nodes();
      return found.every(({ status, dockerId }) => status === 'ready' && dockerId !== null) && found;
    });
    const named = (role: string): string[] => rows.filter((row) => row.role === role).map(({ name }) => name).sort();
    expect({ managers: named('manager'), workers: named('worker') }).toEqual({ managers: [...managers], workers: [...workers] });
    const listed = (await session.docker('mg0', "node inspect --format '{{.ID}} {{index .Spec.Labels \"belt.datacenter\"}}' $(docker node ls -q)")).trim().split('\n').sort();
    expect(listed.map((row) => row.split(' ')[0])).toEqual(rows.map(({ dockerId }) => dockerId).sort());
    for (const row of listed) expect(row).toMatch(/ docker:[abc]$/);
    // What there is to say of four managers may be said.
    expect((await session.tried('swarm status')).stderr).not.toMatch(/engine|Docker|in the swarm/);
  }

  const MANAGERS = ['mg0', 'mg1', 'mg2'];

  /** Runs the line with somebody in wait; says how the first try ended. The second must end well. */
  async function killedDuring(line: string, machine: string, victim: Victim, moment: string): Promise<void> {
    await lieInWait(machine, victim, moment);
    const started = Date.now();
    const first = await session.tried(line);
    const took = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`${line}; ${victim.what} of ${machine} killed when ${moment}: exit ${first.code} after ${took} s ${first.stderr.trim()}`);
    const killed = await session.tried(`exec ${machine} -- timeout 20 sh -c "until [ -e /run/killed ]; do sleep 0.1; done"`);
    if (killed.code !== 0) console.log((await session.tried(`exec ${machine} -- sh -c "systemctl status ${victim.unit}; journalctl -n 60 --no-pager -u ${victim.unit}; ls /var/lib/docker/swarm"`)).stdout);
    expect(killed.code, `${victim.unit} of ${machine} was not there to be killed`).toBe(0);
    await belt(line);
  }

  test.each([
    ['dockerd', 'was asked to join', 'before it left', DOCKERD, MOMENT.asked, MOMENT.now], ['dockerd', 'has its certificate', 'when it left', DOCKERD, MOMENT.certified, MOMENT.out],
    ['dockerd', 'is in', 'when it left', DOCKERD, MOMENT.in, MOMENT.out], ['the agent', 'asked its engine to join', 'before it left', AGENT, MOMENT.asked, MOMENT.now],
    ['the agent', 'sees its engine in', 'when it left', AGENT, MOMENT.in, MOMENT.out],
  ])('%s is killed when it %s, and %s', async (_what, _joins, _leaves, victim, joins, leaves) => {
    await killedDuring('swarm join mg0 node1', 'node1', victim, joins);
    await agreed(MANAGERS, ['node1']);
    await killedDuring('swarm leave --yes node1', 'node1', victim, leaves);
    await agreed(MANAGERS, []);
    expect((await session.on('node1', 'docker info --format "{{.Swarm.LocalNodeState}}"')).trim()).toBe('inactive');
  });

  test('Docker’s leader and the agents’ leader die while three nodes join', async () => {
    for (const victim of [DOCKERD, AGENT]) {
      const leader = victim === DOCKERD
        ? (await session.dockerNodes('mg0')).find((row) => / Leader$/.test(row))?.split(' ')[0] ?? ''
        : (await session.nodes()).find((node) => node.managerStatus === 'leader')?.name ?? '';
      await killedDuring("swarm join mg0 'node[1:3]'", leader, victim, '[ $(docker node ls -q | wc -l) -gt 3 ]');
      await agreed(MANAGERS, ['node1', 'node2', 'node3']);
      await belt("swarm leave --yes 'node[1:3]'");
      await agreed(MANAGERS, []);
    }
  });

  describe('a change of role', () => {
    beforeAll(() => belt('swarm join mg0 node1'), 2 * MINUTES);
    afterAll(() => belt('swarm leave --yes node1'), 2 * MINUTES);

    test.each([
      ['dockerd of the node', 'its engine manages', DOCKERD, MOMENT.manages, MOMENT.worksOnly],
      ['the agent of the node', 'it manages', AGENT, MOMENT.agentManages, MOMENT.worksOnly],
    ])('%s is killed when %s, and on the way back', async (_what, _when, victim, up, down) => {
      await killedDuring('swarm promote node1', 'node1', victim, up);
      await agreed([...MANAGERS, 'node1'], []);
      await killedDuring('swarm demote node1', 'node1', victim, down);
      await agreed(MANAGERS, ['node1']);
    });

    test.each([['dockerd', DOCKERD], ['the agent', AGENT]])('%s of the leader is killed when Docker was told, and on the way back', async (_what, victim) => {
      const roleIs = (role: string): string => `[ "$(docker node inspect --format {{.Spec.Role}} node1)" = ${role} ]`;
      for (const [line, role, managers, workers] of [['swarm promote node1', 'manager', [...MANAGERS, 'node1'], []], ['swarm demote node1', 'worker', MANAGERS, ['node1']]] as const) {
        const leader = victim === DOCKERD
          ? (await session.dockerNodes('mg0')).find((row) => / Leader$/.test(row))?.split(' ')[0] ?? ''
          : (await session.nodes()).find((node) => node.managerStatus === 'leader')?.name ?? '';
        await killedDuring(line, leader, victim, roleIs(role));
        await agreed(managers, workers);
      }
    });
  });

  test(`the CLI dies at ${CLI_DEATHS} moments of join, promote, demote and leave each (seed ${SEED})`, { timeout: 20 * MINUTES }, async () => {
    const lines = [['join', 'mg0', 'node2'], ['promote', 'node2'], ['demote', 'node2'], ['leave', '--yes', 'node2']] as const;
    const run = async (words: readonly string[], env: NodeJS.ProcessEnv): Promise<string | number | null> => {
      const child = spawn(process.execPath, ['--import', DIE_AT, MAIN, 'swarm', ...words], { cwd: session.folder, env: { ...session.env, ...env }, stdio: 'ignore' });
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
      return signal ?? code;
    };
    const counts: number[] = [];
    for (const words of lines) {
      const file = path.join(session.folder, 'moments');
      expect(await run(words, { BELT_COUNT_TO: file })).toBe(0);
      counts.push(Number(readFileSync(file, 'utf8')));
    }
    const plans: Death[][] = counts.map((count, index) => deaths(SEED + index, count, CLI_DEATHS));
    let killed = 0;
    for (let round = 0; round < CLI_DEATHS; round += 1) {
      for (const [index, words] of lines.entries()) {
        const death = plans[index]![round]!;
        if ((await run(words, { BELT_DIE_AT: String(death.at), BELT_DIE_HOW: death.how })) === 'SIGKILL') killed += 1;
        console.log(`swarm ${words.join(' ')} died ${death.how} moment ${death.at} of ${counts[index]}`);
        await belt(`swarm ${words.join(' ')}`);
        await agreed(index === 1 ? [...MANAGERS, 'node2'] : MANAGERS, index === 0 || index === 2 ? ['node2'] : []);
      }
    }
    expect(killed).toBeGreaterThan(2 * CLI_DEATHS);
  });
});
