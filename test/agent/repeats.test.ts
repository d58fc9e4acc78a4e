/** A repeated request is done once; one so old that the cluster has forgotten its first try is not done at all. */
import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';

import { REQUESTS_REMEMBERED } from '../../src/swarm-agent/store/requests.ts';
import { Harness, leaderOf } from './harness.ts';

let harness: Harness;
afterEach(() => harness.close());

test('a repeat is told from a first try by its age, also through a manager that does not lead', { timeout: 60_000 }, async () => {
  harness = new Harness();
  const { managers } = await harness.cluster(3);
  const leader = leaderOf(managers)!;
  const follower = managers.find((machine) => machine !== leader)!;
  const request = randomBytes(16).toString('hex');
  const label = (id: string, set: Record<string, string>, ageMs?: number) => harness.client.cluster([follower.endpoint], 'nodes.label', { node: 'mg0', set }, { request: id, ageMs });
  await label(request, { a: '1' });
  await label(randomBytes(16).toString('hex'), { a: '2' });
  // Remembered: the repeat is answered with the first result, and changes nothing.
  await label(request, { a: '1' }, 1000);
  expect((await harness.nodes(leader))[0]?.labels).toEqual({ a: '2' });

  const { group } = leader.agent!.manager!;
  for (let sent = 0; sent < REQUESTS_REMEMBERED; sent += 1024) {
    await Promise.all(Array.from({ length: 1024 }, (_, n) => group.write(`fill-${sent + n}`, { type: 'setting.set', key: 'fill', value: String(n) })));
  }
  await expect(label(request, { a: '1' }, 60_000)).rejects.toMatchObject({ code: 'outcome_unknown', message: expect.stringContaining('before the oldest one remembered') as string });
  expect((await harness.nodes(leader))[0]?.labels).toEqual({ a: '2' });
  await label(randomBytes(16).toString('hex'), { a: '3' });
  expect((await harness.nodes(leader))[0]?.labels).toEqual({ a: '3' });
});
