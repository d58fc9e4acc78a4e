/** Writes through whole agents: the call of `belt swarm label`, JSON over `belt/1`, to real agent processes that lines of belt have formed on `local`. */
import { LocalCluster, until, type LocalNode } from '../../test/faults/local-cluster.ts';
import type { AgentClient } from '../../src/swarm/agent-client.ts';
import type { WriteClient } from './contender.ts';
import { cpuMs } from './contender.ts';
import { load, type LoadResult } from './load.ts';

/** Labels that are written in turn; a node may have 256. */
const LABELS = 64;

export interface AgentCallsResult extends LoadResult {
  /** CPU of all agents, µs a write. */
  readonly cpuUsPerWrite: number;
}

/** Figures for each number of writers, at the leader of `managers` managers. */
export async function agentCalls(managers: number, writers: readonly number[], ms: number): Promise<AgentCallsResult[]> {
  const cluster = await LocalCluster.form({ topology: `${managers}/${managers}`, workers: 0 });
  try {
    const connect = (): Promise<WriteClient> => labelClient(cluster);
    await load(connect, 16, 1, 3_000);
    const results: AgentCallsResult[] = [];
    for (const count of writers) {
      const pids = cluster.managers.map((node) => cluster.pid(node)!);
      const before = cpuMs(pids);
      const result = await load(connect, count, ms);
      results.push({ ...result, cpuUsPerWrite: ((cpuMs(pids) - before) * 1000) / (result.writes * ((ms + 500) / ms)) });
    }
    return results;
  } finally {
    await cluster.close();
  }
}

let labels = 0;

/** A client that writes labels at the leader; the value is a new one each time, as an agent writes nothing that is so already. */
async function labelClient(cluster: LocalCluster): Promise<WriteClient> {
  const client = cluster.client();
  const { name, endpoint } = await until(() => leaderOf(client, cluster.managers), 'a leader');
  return {
    put: async (_key, value) => {
      const number = labels++;
      const set = { [`bench.${number % LABELS}`]: String(number).padEnd(value.length, 'v') };
      await client.cluster([endpoint], 'nodes.label', { node: name, set });
    },
    close: () => client.close(),
  };
}

async function leaderOf(client: AgentClient, managers: readonly LocalNode[]): Promise<LocalNode | undefined> {
  const leads = await Promise.all(managers.map(({ endpoint }) =>
    client.call(endpoint, 'node.health', {}).then(({ raft }) => raft?.state === 'leader', () => false)));
  return managers[leads.indexOf(true)];
}
