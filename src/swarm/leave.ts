/** Nodes leave: taken out of the cluster first, then told to forget it. Dead ones are taken out only with force. */
import { setTimeout as sleep } from 'node:timers/promises';

import { isBeltError, type Outcome } from '../errors.ts';
import { runAll } from '../provision/run-all.ts';
import { lossOrder } from '../topology/quorum.ts';
import type { Report } from './operations.ts';
import type { Swarm } from './swarm.ts';

export interface Left {
  /** False: it was no node. */
  readonly changed: boolean;
  readonly note: string;
}

/** One after another where managers go, since Raft loses one member at a time. Where all of them go the swarm ends: nobody is asked, each only forgets. */
export async function leaveSwarm(swarm: Swarm, names: readonly string[], options: { readonly force: boolean; readonly signal: AbortSignal }, report: Report): Promise<Outcome<Left>[]> {
  const { voters, reachable } = await swarm.census();
  const managers = new Set(voters.map(({ name }) => name));
  const ends = managers.size > 0 && [...managers].every((name) => names.includes(name));
  // Workers first, which need the managers to leave well, and the managers in the order in which the loss was judged.
  const ordered = lossOrder({ voters: [...managers], reachable, losing: names });
  const outcomes = await runAll(ordered, (name) => leaveOne(swarm, name, { ...options, ends }), {
    limit: ordered.some((name) => managers.has(name)) ? 1 : 20, signal: options.signal, nameOf: (name) => name, onDone: (_outcome, done, failed) => report({ done, failed }),
  });
  swarm.forgetSurvey();
  if (ends && outcomes.every(({ ok }) => ok)) swarm.book.learnManagers([], null);
  return names.map((name) => outcomes.find((outcome) => outcome.name === name) as Outcome<Left>);
}

/** How long an agent that does not answer is waited for, and how often it is asked again, ms: one that died is back in a second or two. */
const BACK = { forMs: 5_000, everyMs: 500 } as const;

/** Has the agent forget the swarm. */
async function forgetSwarm(swarm: Swarm, name: string, { force, signal }: { readonly force: boolean; readonly signal: AbortSignal }): Promise<boolean> {
  const deadline = performance.now() + (force ? 0 : BACK.forMs);
  for (;;) {
    try {
      return (await swarm.node(name, 'node.leave', {}, { timeoutMs: 15_000 })).changed;
    } catch (error) {
      if (!isBeltError(error, 'unreachable') || performance.now() > deadline) throw error;
      await sleep(BACK.everyMs, undefined, { signal });
    }
  }
}

async function leaveOne(swarm: Swarm, name: string, options: { readonly force: boolean; readonly ends: boolean; readonly signal: AbortSignal }): Promise<Left> {
  const { force, ends } = options;
  let removed = false;
  if (!ends) {
    swarm.forgetSurvey();
    removed = (await swarm.cluster('nodes.remove', { node: name, leaving: true, force })).changed;
  }
  const left: Left = { changed: true, note: 'left the swarm' };
  const none: Left = { changed: false, note: 'is no node of the swarm' };
  try {
    const changed = await forgetSwarm(swarm, name, options);
    return removed || changed ? left : none;
  } catch (error) {
    // It has forgotten the swarm by itself, and shows the certificate that bootstrap gave it: of the CA of that time. The next bootstrap gives another.
    if (isBeltError(error, 'certificate') && !ends) return removed ? left : none;
    // It is out of the cluster; what is left on a machine that does not answer is worth nothing any more.
    if (!isBeltError(error, 'unreachable') && !isBeltError(error, 'unknown_machine')) throw error;
    // The cluster has said that it is no node; whether its machine runs is nobody's concern here.
    if (!removed && !ends) return none;
    if (!removed && !force) throw error;
    return { changed: removed, note: 'was taken out of the swarm; the machine does not answer' };
  }
}

/** Takes the nodes of destroyed machines out of the cluster, workers first; a manager only while the others keep their quorum without it. */
export async function forgetMachines(swarm: Swarm, names: readonly string[], signal: AbortSignal): Promise<void> {
  const { nodes } = await swarm.cluster('cluster.nodes', {});
  const gone = nodes.filter(({ name }) => names.includes(name)).toSorted((a, b) => Number(a.role === 'manager') - Number(b.role === 'manager'));
  const outcomes = await runAll(gone, ({ name }) => swarm.cluster('nodes.remove', { node: name, force: true }), {
    limit: gone.some(({ role }) => role === 'manager') ? 1 : 20, signal, nameOf: ({ name }) => name,
  });
  swarm.forgetSurvey();
  const failed = outcomes.find((outcome) => !outcome.ok);
  if (failed?.ok === false) throw failed.error;
}
