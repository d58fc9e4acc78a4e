/** Changes of nodes, one call each, and the wait until a change of role is done. */
import { setTimeout as sleep } from 'node:timers/promises';

import { BeltError, isBeltError, type Outcome } from '../errors.ts';
import { compressNames } from '../range/compress.ts';
import { RESERVED } from '../range/names.ts';
import { judgeLoss, lossOrder } from '../topology/quorum.ts';
import { runAll } from '../provision/run-all.ts';
import { wayOn } from '../provision/way-on.ts';
import type { Report } from './operations.ts';
import type { Swarm } from './swarm.ts';

export type RoleChange = 'promote' | 'demote';

/**
 * Milliseconds between two looks at a node on its way to another role, how long that may take, how long an election in between, and how long the node may
 * be silent: an agent that died is back in a few seconds.
 */
const LOOK = { everyMs: 150, forMs: 60_000, electMs: 10_000, silentMs: 10_000 } as const;

/** Time as the waits see it: monotonic ms. */
export interface Pace {
  now(): number;
  pause(ms: number, signal: AbortSignal): Promise<unknown>;
}
const REAL: Pace = { now: () => performance.now(), pause: (ms, signal) => sleep(ms, undefined, { signal }) };

/** Throws `unknown_machine` where a name of several is no node: what is done to many is begun only when all are there. */
export async function requireNodes(swarm: Swarm, names: readonly string[]): Promise<void> {
  // The agent refuses a single one by itself.
  if (names.length < 2) return;
  const known = new Set((await swarm.cluster('cluster.nodes', {})).nodes.map(({ name }) => name));
  const absent = names.filter((name) => !known.has(name));
  if (absent.length > 0) throw new BeltError('unknown_machine', `no node of the swarm is called ${compressNames(absent)}; nothing was done`, { next: 'belt swarm nodes' });
}

/** Throws `refused` with the arithmetic where the managers left would be no majority. */
export async function guardLoss(swarm: Swarm, act: 'demote' | 'leave', names: readonly string[], force: boolean): Promise<void> {
  if (force) return;
  const { voters, reachable } = await swarm.census();
  const verdict = judgeLoss({ act, voters: voters.map(({ name }) => name), reachable, losing: names });
  if (!verdict.allowed) throw new BeltError('refused', verdict.reason, { next: 'promote others first, or --force' });
}

/** Changes the roles one node after another, each waited for: Raft takes one at a time. True in an outcome: something changed. Outcomes in the order of `names`. */
export async function changeRoles(swarm: Swarm, change: RoleChange, names: readonly string[], force: boolean, signal: AbortSignal, report: Report, pace = REAL): Promise<Outcome<boolean>[]> {
  const ordered = change === 'promote' ? names : await inOrderOfLoss(swarm, names);
  const outcomes = await runAll(ordered, async (name) => {
    const { changed } = change === 'promote' ? await swarm.cluster('nodes.promote', { node: name }) : await swarm.cluster('nodes.demote', { node: name, force }, { timeoutMs: 60_000 });
    await settled(swarm, name, signal, pace);
    return changed;
  }, { limit: 1, signal, nameOf: (name) => name, onDone: (_outcome, done, failed) => report({ done, failed }) });
  return names.map((name) => outcomes.find((outcome) => outcome.name === name) as Outcome<boolean>);
}

async function inOrderOfLoss(swarm: Swarm, losing: readonly string[]): Promise<string[]> {
  const { voters, reachable } = await swarm.census();
  return lossOrder({ voters: voters.map(({ name }) => name), reachable, losing });
}

async function settled(swarm: Swarm, name: string, signal: AbortSignal, pace: Pace): Promise<void> {
  const deadline = pace.now() + LOOK.forMs;
  let answered = pace.now();
  let heard = pace.now();
  for (;; await pace.pause(LOOK.everyMs, signal)) {
    swarm.forgetSurvey();
    // While managers elect a leader, as they do when the one that led is demoted, nobody can say how far it is.
    const nodes = await swarm.cluster('cluster.nodes', {}).then((list) => list.nodes, (error: unknown) => {
      if (!isBeltError(error, 'no_quorum') || pace.now() > answered + LOOK.electMs) throw error;
      return null;
    });
    if (nodes === null) continue;
    answered = pace.now();
    const node = nodes.find((row) => row.name === name);
    if (node === undefined || node.becoming === null) return;
    // On its way between session and Raft the leader may not have heard of it for a while: down is who does not answer us either.
    if (node.status !== 'down' || (await swarm.healths([name]))[0]?.health != null) heard = pace.now();
    if (pace.now() - heard >= LOOK.silentMs) throw new BeltError('unreachable', `${name} is down; it becomes a ${node.becoming} when it is back`, { machine: name, next: wayOn([name], swarm.driverOf) });
    if (pace.now() > deadline) throw new BeltError('timeout', `${name} is not a ${node.becoming} after ${LOOK.forMs / 1000} s; the swarm goes on with it`, { machine: name, next: 'belt swarm nodes' });
  }
}

/** Words of `swarm label`: `key=value` sets, `key-` removes. Throws `usage`. */
export function parseLabels(words: readonly string[]): { set: Record<string, string>; unset: string[] } {
  const set: Record<string, string> = {};
  const unset: string[] = [];
  for (const word of words) {
    const [, key, value] = /^([a-z0-9][a-z0-9._/-]{0,127})=(.{0,256})$/i.exec(word) ?? [];
    const [, gone] = /^([a-z0-9][a-z0-9._/-]{0,126})-$/i.exec(word) ?? [];
    if (key !== undefined && value !== undefined && !RESERVED.has(key)) set[key] = value;
    else if (gone !== undefined) unset.push(gone);
    else throw new BeltError('usage', `'${word}' is no label`, { next: 'write key=value to set a label, key- to remove it' });
  }
  const both = unset.find((key) => Object.hasOwn(set, key));
  if (both !== undefined) throw new BeltError('usage', `label ${both} is set and removed in one line`, { next: 'say one of both' });
  return { set, unset };
}
