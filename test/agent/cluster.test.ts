/** The whole life of a small cluster: real agents, real TLS, real Raft. */
import { afterEach, describe, expect, test } from 'vitest';

import { Harness } from './harness.ts';

let harness: Harness;
afterEach(() => harness.close());

describe('a cluster of agents', () => {
  test('is founded, takes a worker, and lists both', async () => {
    harness = new Harness();
    const { managers: [mg0] } = await harness.cluster(1, 1);
    const nodes = await harness.nodes(mg0!);
    expect(nodes.map(({ name, role, status, managerStatus }) => ({ name, role, status, managerStatus }))).toEqual([
      { name: 'mg0', role: 'manager', status: 'ready', managerStatus: 'leader' },
      { name: 'node0', role: 'worker', status: 'ready', managerStatus: null },
    ]);
  });
});
