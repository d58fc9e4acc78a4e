import { expect, it } from 'vitest';

import { changeRoles } from '../../src/swarm/roles.ts';
import type { Swarm } from '../../src/swarm/swarm.ts';

/** A swarm whose leader calls node1, on its way to a manager, down for two looks. */
function swarm(answers: boolean): Swarm {
  const looks = [{ status: 'down', becoming: 'manager' }, { status: 'down', becoming: 'manager' }, { status: 'ready', becoming: null }];
  const cluster = (call: string): Promise<unknown> => Promise.resolve(call === 'nodes.promote' ? { changed: true } : { nodes: [{ name: 'node1', ...looks.shift() }] });
  const healths = ([machine]: string[]): Promise<unknown> => Promise.resolve([{ machine, health: answers ? { machine } : null }]);
  return { cluster, healths, forgetSurvey: () => undefined, driverOf: () => 'local' } as unknown as Swarm;
}

const promote = (answers: boolean) => changeRoles(swarm(answers), 'promote', ['node1'], false, new AbortController().signal, () => undefined);

it('a node that the leader has not heard of for a while on its way to its new role, and that answers, is waited for', async () => {
  expect(await promote(true)).toMatchObject([{ ok: true, value: true }]);
});

it('one that does not answer either is down', async () => {
  expect(await promote(false)).toMatchObject([{ ok: false, error: { code: 'unreachable', message: expect.stringContaining('node1 is down') } }]);
});
