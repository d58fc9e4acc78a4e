/** What large swarms ask of their managers, as runs of thousands of nodes found: no work of their own, and processors enough. Decisions here are pure. */
import { compressNames } from '../range/compress.ts';
import { runAll } from '../provision/run-all.ts';
import type { Machine } from '../provision/driver.ts';
import type { Hands } from './operations.ts';
import type { Swarm } from './swarm.ts';

/** With more workers than this the managers do no work. */
export const DRAIN_ABOVE = 100;
/** Processors a manager should have from so many nodes on (more than `above`): 8 served a thousand, beyond two thousand it took 16. */
const PROCESSORS = [{ above: 2000, cpus: 16 }, { above: DRAIN_ABOVE, cpus: 8 }] as const;

/** Whether managers are to be drained: as said, else when the workers grow past {@link DRAIN_ABOVE}, so that who makes them active again keeps that. */
export function drainsManagers(said: boolean | undefined, before: number, after: number): boolean {
  return said ?? (before <= DRAIN_ABOVE && after > DRAIN_ABOVE);
}

/** Managers with fewer processors than a swarm of `nodes` asks for, in a sentence; none where all have enough. */
export function processorWarnings(nodes: number, managers: readonly { readonly name: string; readonly cpus: number }[]): string[] {
  const wanted = PROCESSORS.find(({ above }) => nodes > above)?.cpus ?? 0;
  const small = managers.filter(({ cpus }) => cpus < wanted);
  if (small.length === 0) return [];
  const least = Math.min(...small.map(({ cpus }) => cpus));
  return [`${compressNames(small.map(({ name }) => name))}: managers of ${nodes} nodes want ${wanted} vCPUs, and ${small.length === 1 ? 'this one has' : 'the smallest of these has'} ${least}`];
}

/** Whether these machines have engines, so that there is work to keep managers from. */
export function hasEngines({ engineOf }: Pick<Hands, 'engineOf'>, machines: readonly Machine[]): boolean {
  return machines.some((machine) => engineOf(machine).kind === 'docker');
}

/** Drains every manager that is not; the names of those it changed. */
export async function drainManagers(swarm: Swarm): Promise<string[]> {
  const changed: string[] = [];
  for (const { name } of (await swarm.survey()).voters) {
    if ((await swarm.cluster('nodes.availability', { node: name, availability: 'drain' })).changed) changed.push(name);
  }
  return changed;
}

/** Warnings about the managers there are, for a swarm of `nodes`. Managers that do not answer are not judged. */
export async function judgeManagers(swarm: Swarm, nodes: number, signal: AbortSignal): Promise<string[]> {
  if (nodes <= DRAIN_ABOVE) return [];
  const { reachable } = await swarm.survey();
  const facts = await runAll(reachable, (name) => swarm.node(name, 'node.facts', {}, { timeoutMs: 5_000 }), { limit: 10, signal, nameOf: (name) => name });
  return processorWarnings(nodes, facts.flatMap((outcome) => (outcome.ok ? [{ name: outcome.name, cpus: outcome.value.cpus }] : [])));
}
