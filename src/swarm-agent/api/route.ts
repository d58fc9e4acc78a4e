/**
 * Where a call of the cluster plane is answered: here when this manager leads, else at the leader, one hop. Without a leader the caller is told
 * within 3 s how many managers there are and how many it takes.
 */
import { randomBytes } from 'node:crypto';

import { BeltError, isBeltError } from '../../errors.ts';
import { pause, type Clock } from '../ports.ts';
import type { Peers } from '../session/peers.ts';
import type { CallerIdentity } from './authorize.ts';
import { CALLS, type CallName } from './calls.ts';
import type { Group } from './group.ts';
import type { CallContext } from './server.ts';
import type { ManagerAddress } from './shapes.ts';
import { managerAddresses, quorumOf } from './view.ts';

/** Milliseconds: how long a leader is waited for, how often it is looked for, how long the others have to show that they live. Together under 3 s. */
export const ROUTE = { leaderMs: 1500, lookMs: 50, probeMs: 1000 } as const;

export interface RouteOptions {
  readonly clock: Clock;
  readonly group: Group;
  readonly peers: Peers;
  readonly signal: AbortSignal;
}

/** What a leader does for a call: `request` is always there, so that a second try is the same write. */
export type Local = (name: CallName, params: unknown, context: CallContext & { readonly request: string }) => Promise<unknown>;

/** Answers the call here or at the leader. Rejects with what the leader says, `no_quorum`, or `outcome_unknown`. */
export async function route(options: RouteOptions, local: Local, name: CallName, params: unknown, context: CallContext): Promise<unknown> {
  const { clock, group } = options;
  const request = context.request ?? randomBytes(16).toString('hex');
  const giveUp = Math.min(clock.monotonic() + ROUTE.leaderMs, context.deadline);
  const began = clock.now();
  let { first } = context;
  let unknown: BeltError | null = null;
  for (;;) {
    try {
      const leader = leaderOf(group);
      if (leader === 'self') return await local(name, params, { ...context, request, first });
      if (leader !== null) return await forward(options, leader, name, params, { ...context, request, first });
    } catch (error) {
      if (!isBeltError(error) || !['no_quorum', 'outcome_unknown', 'unreachable', 'timeout'].includes(error.code)) throw error;
      // A repeat so old that nobody can tell: asking again would tell no more.
      if (error.code === 'outcome_unknown' && !error.retryable) throw error;
      if (error.code === 'outcome_unknown') {
        unknown = error;
        first ??= began;
      }
    }
    if (clock.monotonic() >= giveUp || options.signal.aborted) break;
    await pause(clock, ROUTE.lookMs, options.signal);
  }
  const why = await noQuorum(options);
  throw unknown === null ? why : new BeltError('outcome_unknown', `${why.message}; the change may or may not have happened`, { next: 'repeat the command: it finds out, and does nothing twice', cause: unknown });
}

/** A call that manager `by` passed on: answered here or not at all, so that no call goes in circles. Rejects with `no_quorum`, `forbidden`, or what the call does. */
export async function answerForwarded({ group }: RouteOptions, local: Local, name: CallName, params: unknown, context: CallContext & { readonly request: string }, by: string): Promise<unknown> {
  if (leaderOf(group) !== 'self') throw new BeltError('no_quorum', 'this manager leads no longer');
  // Who passes calls on speaks for operators: a certificate that outlived its node does not make a manager.
  const manages = (): boolean => group.state.tables.nodes.get(by)?.role === 'manager';
  if (!manages()) await group.read();
  if (!manages()) throw new BeltError('forbidden', `node ${by} is no manager of this cluster`, { retryable: true });
  return local(name, params, context);
}

function leaderOf(group: Group): ManagerAddress | 'self' | null {
  const status = group.status();
  if (status.role === 'leader') return 'self';
  if (status.leader === null || status.leader === group.id) return null;
  return managerAddresses(group.state, status).find(({ id }) => id === status.leader) ?? null;
}

async function forward({ clock, peers }: RouteOptions, leader: ManagerAddress, name: CallName, params: unknown, context: CallContext & { readonly request: string }): Promise<unknown> {
  const timeoutMs = Math.max(1, Math.floor(context.deadline - clock.monotonic()));
  const { request, first } = context;
  const ageMs = first === null ? undefined : Math.max(0, Math.round(clock.now() - first));
  try {
    return await peers.call(leader, 'forward', { call: name, params, request, caller: wireCaller(context.caller) }, { timeoutMs, request, ageMs });
  } catch (error) {
    // `forward` counts as a write whatever it carries; a read that was lost can simply be asked again.
    if (isBeltError(error, 'outcome_unknown') && !CALLS[name].write) throw new BeltError('unreachable', error.message, { cause: error });
    throw error;
  }
}

function wireCaller({ role, name }: CallerIdentity): { role: 'operator' | 'manager' | 'worker' | 'none'; name: string } {
  if (role === 'machine') throw new BeltError('forbidden', 'a machine certificate reaches no cluster call');
  return { role, name };
}

/** The refusal for want of managers, after asking each of the others for a sign of life. */
export async function noQuorum({ clock, group, peers, signal }: RouteOptions): Promise<BeltError> {
  const managers = managerAddresses(group.state, group.status());
  const probes = managers.map(async (manager) => {
    if (manager.id === group.id) return true;
    const late = pause(clock, ROUTE.probeMs, signal).then(() => false);
    return Promise.race([late, peers.call(manager, 'node.health', {}, { timeoutMs: ROUTE.probeMs }).then(({ raft }) => raft !== null && raft.state !== 'stopped', () => false)]);
  });
  // At most the nine managers a swarm can sensibly have.
  const reachable = (await Promise.all(probes)).filter(Boolean).length;
  const needed = quorumOf(managers.length);
  if (reachable >= needed) return new BeltError('no_quorum', `the managers have not agreed on a leader yet (${reachable} of ${managers.length} reachable)`, { next: 'try again in a moment' });
  return new BeltError('no_quorum', `${reachable} of ${managers.length} managers reachable, ${needed} needed`, {
    next: 'start the stopped managers (belt start RANGE); when they are gone for good: belt swarm rebuild',
  });
}
