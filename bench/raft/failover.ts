/** Failover: from kill -9 of the leader to the next acknowledged write, by clients that are connected to all members and never stop asking. */
import type { Contender, WriteClient } from './contender.ts';
import { VALUE } from './load.ts';

/** The time of each trial, ms, sorted. Between trials the killed member is started again and the group is given `settleMs`. */
export async function failover(contender: Contender, trials: number, settleMs: number): Promise<number[]> {
  const times: number[] = [];
  for (let trial = 0; trial < trials; trial++) {
    const leader = await contender.connect(20_000);
    await leader.put('failover', VALUE);
    leader.close();
    const clients = await contender.clients();
    const restart = await contender.killLeader();
    const began = performance.now();
    await firstAcknowledged(clients, began + 30_000);
    times.push(performance.now() - began);
    for (const client of clients) client.close();
    await restart();
    await new Promise((resolve) => setTimeout(resolve, settleMs));
  }
  return times.sort((a, b) => a - b);
}

async function firstAcknowledged(clients: readonly WriteClient[], deadline: number): Promise<void> {
  let acknowledged = false;
  await Promise.all(clients.map(async (client) => {
    while (!acknowledged && performance.now() < deadline) {
      const ok = await client.put('failover', VALUE).then(() => true, () => false);
      acknowledged ||= ok;
      if (!ok) await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }));
  if (!acknowledged) throw new Error('no write was acknowledged within 30 s');
}
