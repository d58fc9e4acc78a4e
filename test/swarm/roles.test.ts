import { expect, it } from 'vitest';

import { changeRoles } from '../../src/swarm/roles.ts';
import type { Swarm } from '../../src/swarm/swarm.ts';

/** Promotes node1 in a swarm whose leader calls it down for `downMs` on its way; whether it answers the operator itself, or is back after a while. */
async function promote({ downMs, answersFromMs }: { downMs: number; answersFromMs: number }) {
  let now = 0;
  const node = () => (now < downMs ? { status: 'down', becoming: 'manager' } : { status: 'ready', becoming: null });
  const cluster = (call: string): Promise<unknown> => Promise.resolve(call === 'nodes.promote' ? { changed: true } : { nodes: [{ name: 'node1', ...node() }] });
  const healths = ([machine]: string[]): Promise<unknown> => Promise.resolve([{ machine, health: now >= answersFromMs ? { machine } : null }]);
  const swarm = { cluster, healths, forgetSurvey: () => undefined, driverOf: () => 'local' } as unknown as Swarm;
  const pace = { now: () => now, pause: (ms: number) => Promise.resolve(void (now += ms)) };
  const [outcome] = await changeRoles(swarm, 'promote', ['node1'], false, new AbortController().signal, () => undefined, pace);
  return { outcome, now };
}

it('a node that the leader has not heard of for a while on its way to its new role, and that answers, is waited for', async () => {
  expect((await promote({ downMs: 30_000, answersFromMs: 0 })).outcome).toMatchObject({ ok: true, value: true });
});

it('one whose agent died on the way is waited for until it is back', async () => {
  expect((await promote({ downMs: 8_000, answersFromMs: 6_000 })).outcome).toMatchObject({ ok: true, value: true });
});

it('one that does not answer for ten seconds is down', async () => {
  const { outcome, now } = await promote({ downMs: Infinity, answersFromMs: Infinity });
  expect(outcome).toMatchObject({ ok: false, error: { code: 'unreachable', message: expect.stringContaining('node1 is down') as string } });
  expect(now).toBeLessThan(11_000);
});

it('one that answers and never gets there is given up after a minute', async () => {
  expect((await promote({ downMs: Infinity, answersFromMs: 0 })).outcome).toMatchObject({ ok: false, error: { code: 'timeout' } });
});
