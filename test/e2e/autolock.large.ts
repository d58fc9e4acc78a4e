/** Docker's autolock: locked engines are told of and left alone, the rest goes on, and a rebuild never forces a sealed swarm. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { asOneSession } from './one-session.ts';
import { Session } from './session.ts';
import { skipReason, until } from './stage.ts';

const MINUTES = 60_000;

describe.skipIf(skipReason !== null)('a swarm under autolock', { timeout: 10 * MINUTES }, () => {
  const session = new Session('sealed');
  const belt = session.belt.bind(session);
  let key = '';
  asOneSession();

  const warnings = async (): Promise<string> => (await session.tried('swarm status')).stderr;
  const warned = (of: RegExp, ms = MINUTES): Promise<string> => until(`a warning like ${of}`, ms, async () => {
    const said = await warnings();
    return of.test(said) && said;
  });
  const quiet = (of: RegExp): Promise<boolean> => until(`no warning like ${of}`, MINUTES, async () => !of.test(await warnings()));
  const unlock = async (name: string): Promise<void> => {
    const said = await session.tried(`--host ${name} docker swarm unlock`, `${key}\n`);
    expect(said.code, said.stderr).toBe(0);
  };
  const restart = (name: string): Promise<string> => session.on(name, 'systemctl reset-failed docker; systemctl restart docker; docker info --format "{{.Swarm.LocalNodeState}}"');

  beforeAll(async () => {
    await belt('cluster new --driver docker sealed');
    await belt("create 1gb 'mg[0:2]' --region a,b,c");
    await belt('create 512mb node1 --region a');
    await belt("swarm form 3/3 'mg[0:2]'");
    await belt('bootstrap node1');
    await session.on('mg0', 'docker swarm update --autolock=true');
    key = (await session.on('mg0', 'docker swarm unlock-key -q')).trim();
    await until('every manager’s key is sealed', MINUTES, async () => {
      await session.on('mg2', 'grep -q ENCRYPTED /var/lib/docker/swarm/certificates/swarm-node.key');
      return true;
    });
  }, 10 * MINUTES);
  afterAll(() => session.close(), 2 * MINUTES);

  test('a locked manager is named with what unlocks it; the others take joins and changes of role meanwhile', async () => {
    console.log(await warned(/autolock is on/));
    expect((await restart('mg1')).trim()).toBe('locked');
    console.log(await warned(/engine of mg1 is locked.*belt --host mg1 docker swarm unlock/));
    await belt('swarm join mg0 node1');
    await belt('swarm promote node1');
    await belt('swarm demote node1');
    await unlock('mg1');
    await quiet(/is locked/);
    await session.shown('mg1', 3, 4);
  });

  test('the leader’s engine locked: the lead goes to one that sees Docker', async () => {
    const leader = (await session.nodes()).find((node) => node.managerStatus === 'leader')?.name ?? '';
    await restart(leader);
    const next = await until('another leads', MINUTES, async () => (await session.nodes()).find((node) => node.managerStatus === 'leader' && node.name !== leader)?.name);
    console.log(`${leader} locked, ${next} leads`);
    await warned(new RegExp(`engine of ${leader} is locked`));
    await unlock(leader);
    await quiet(/is locked/);
    await session.shown(leader, 3, 4);
  });

  test('without a quorum a rebuild leaves the engine alone and says what it needs; with the others unlocked all is as before', async () => {
    const ids = (await session.nodes()).map(({ name, dockerId }) => `${name} ${dockerId}`).sort();
    await belt('kill --yes --force mg0 mg1');
    const rebuilt = await session.tried('swarm rebuild --yes');
    console.log(`$ belt swarm rebuild --yes\n${rebuilt.stdout}${rebuilt.stderr}`);
    expect(rebuilt).toMatchObject({ code: 0, stderr: expect.stringMatching(/under autolock.*unlock each/) });
    await warned(/cannot be seen from this manager: Docker’s swarm has lost its quorum under autolock/);
    expect((await session.on('mg2', 'docker info --format "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}"')).trim()).toBe('active true');
    expect((await session.on('mg2', 'ls /var/lib/belt/backup 2>/dev/null || true')).trim()).toBe('');
    await belt('start mg0 mg1');
    await belt('swarm rebuild --yes');
    for (const name of ['mg0', 'mg1']) await until(`the engine of ${name}`, MINUTES, async () => (await session.on(name, 'docker info --format "{{.Swarm.LocalNodeState}}"')).trim() === 'locked');
    for (const name of ['mg0', 'mg1']) await unlock(name);
    await session.shown('mg2', 3, 4);
    await quiet(/is locked|lost its quorum/);
    expect((await session.nodes()).map(({ name, dockerId }) => `${name} ${dockerId}`).sort()).toEqual(ids);
  });
});
