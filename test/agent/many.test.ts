/** Many workers on one leader: joined in bulk, heard by their sessions, and found again when the leader dies. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import { Harness, leaderOf, until } from './harness.ts';

const WORKERS = 100;

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.close());

test(`${WORKERS} workers join in bulk, one dies and is seen to within 10 s, and all find the next leader`, { timeout: 60_000 }, async () => {
  const { managers, workers } = await harness.cluster(3, WORKERS);
  const [mg0] = managers;
  const ready = async (via = mg0!) => (await harness.nodes(via)).filter(({ role, status }) => role === 'worker' && status === 'ready').length;
  await until(async () => (await ready()) === WORKERS, 'all are ready');

  await harness.stop(workers[7]!);
  const began = performance.now();
  await until(async () => (await harness.nodes(mg0!)).find(({ name }) => name === 'node7')?.status === 'down', 'node7 is down', 10_000);
  expect(performance.now() - began).toBeLessThan(10_000);
  await harness.start(workers[7]!);
  await until(async () => (await ready()) === WORKERS, 'node7 is back');

  const old = leaderOf(managers)!;
  await harness.stop(old);
  const leader = await until(() => leaderOf(managers.filter((machine) => machine !== old)), 'a new leader');
  await until(async () => (await ready(leader).catch(() => 0)) === WORKERS, 'all have found it', 15_000);
});

test('a join that is repeated is the same node; a machine made anew takes its dead namesake’s place, a living one’s not', async () => {
  const { managers: [mg0], workers: [node0] } = await harness.cluster(1, 1);
  const id = node0!.agent!.identity.certificate.name;
  const again = await harness.client.call(node0!.endpoint, 'node.join', { managers: [mg0!.endpoint.address], token: await harness.token('worker', mg0!) });
  expect(again).toEqual({ id, role: 'worker', already: true });
  const twin = await harness.machine('node0');
  await expect(harness.join(twin, 'worker', mg0!)).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('node0 is already a node of this cluster') as string });
});
