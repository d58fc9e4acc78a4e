/** The operator's way to managers of whom one shows the wrong certificate, over real TLS. */
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';

import { AgentBook } from '../../src/swarm/agent-book.ts';
import { Swarm } from '../../src/swarm/swarm.ts';
import { Harness, type TestMachine } from '../agent/harness.ts';

let harness: Harness;
afterEach(() => harness.close());

/** A swarm as the operator remembers it: manager i is where `at[i]` is. */
function swarmOf(managers: readonly TestMachine[], at: readonly TestMachine[]): { swarm: Swarm; warnings: string[] } {
  const warnings: string[] = [];
  const { key, cert } = harness.credentials('operator', 'test');
  const book = new AgentBook(join(harness.root, 'agents.json'));
  book.learnManagers(managers.map(({ name, agent }, i) => ({ name, id: agent!.identity.certificate.name, address: at[i]!.endpoint.address })), null);
  const credentials = { clusterId: harness.clusterId, key, cert, roots: [harness.ca.certificate] };
  const swarm = new Swarm({ credentials, book, machines: new Map(), active: null, met: [], signal: new AbortController().signal, warn: (message) => void warnings.push(message) });
  return { swarm, warnings };
}

it('the others are used and the wrong one is named, once', async () => {
  harness = new Harness();
  const { managers: [mg0, mg1, mg2], workers: [node0] } = await harness.cluster(3, 1);
  const { swarm, warnings } = swarmOf([mg0!, mg1!, mg2!], [mg0!, node0!, mg2!]);
  expect(await swarm.census()).toMatchObject({ reachable: ['mg0', 'mg2'] });
  expect((await swarm.cluster('cluster.nodes', {})).nodes).toHaveLength(4);
  swarm.forgetSurvey();
  await swarm.census();
  expect(warnings).toEqual([expect.stringMatching(/^mg1 .*certificate is for another machine/)]);
  swarm.close();
});

it('where for wrong certificates too few are left, that is what is told', async () => {
  harness = new Harness();
  const { managers: [mg0, mg1, mg2], workers: [node0] } = await harness.cluster(3, 1);
  const most = swarmOf([mg0!, mg1!, mg2!], [mg0!, node0!, node0!]).swarm;
  expect((await most.census()).reachable).toEqual(['mg0']);
  await expect(most.cluster('cluster.nodes', {})).rejects.toMatchObject({ code: 'certificate' });
  most.close();
  const all = swarmOf([mg0!, mg1!, mg2!], [node0!, node0!, node0!]).swarm;
  await expect(all.census()).rejects.toMatchObject({ code: 'certificate' });
  all.close();
});
