/**
 * Where a call of the cluster plane is answered: here when this manager leads, else at the leader, one hop. Without a quorum the caller is told
 * within 3 s how many managers there are and how many it takes; managers that have one are given the time of an election.
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

/**
 * Milliseconds: how long a leader is waited for, how often it is looked for, how long the others have to show that they live (together under 3 s),
 * and how long a leader is waited for where enough of them do.
 */
export const ROUTE = { leaderMs: 1500, lookMs: 50, probeMs: 1000, electMs: 3000 } as const;

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
  let giveUp = Math.min(clock.monotonic() + ROUTE.leaderMs, context.deadline);
  const began = clock.now();
  let { first } = context;
  let unknown: BeltError | null = null;
  let electing = false;
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
    if (clock.monotonic() >= giveUp || options.signal.aborted) {
      const counted = await countManagers(options);
      if (electing || counted.reachable < counted.needed || clock.monotonic() >= context.deadline || options.signal.aborted) throw withoutLeader(counted, unknown);
      electing = true;
      giveUp = Math.min(clock.monotonic() + ROUTE.electMs, context.deadline);
    }
    await pause(clock, ROUTE.lookMs, options.signal);
  }
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

interface Counted {
  readonly managers: number;
  readonly reachable: number;
  readonly needed: number;
}

/** How many managers give a sign of life; each is asked. */
async function countManagers({ clock, group, peers, signal }: RouteOptions): Promise<Counted> {
  const managers = managerAddresses(group.state, group.status());
  const probes = managers.map(async (manager) => {
    if (manager.id === group.id) return true;
    const late = pause(clock, ROUTE.probeMs, signal).then(() => false);
    return Promise.race([late, peers.call(manager, 'node.health', {}, { timeoutMs: ROUTE.probeMs }).then(({ raft }) => raft !== null && raft.state !== 'stopped', () => false)]);
  });
  // At most the nine managers a swarm can sensibly have.
  return { managers: managers.length, reachable: (await Promise.all(probes)).filter(Boolean).length, needed: quorumOf(managers.length) };
}

/** The refusal for want of a leader; `unknown` where the call had been sent to one. */
function withoutLeader({ managers, reachable, needed }: Counted, unknown: BeltError | null): BeltError {
  const isElecting = reachable >= needed;
  const why = isElecting ? `the managers have not agreed on a leader yet (${reachable} of ${managers} reachable)` : `${reachable} of ${managers} managers reachable, ${needed} needed`;
  if (unknown !== null) return new BeltError('outcome_unknown', `${why}; the change may or may not have happened`, { next: 'repeat the command: it finds out, and does nothing twice', cause: unknown });
  return new BeltError('no_quorum', why, {
    next: isElecting ? 'try again in a moment' : 'start the stopped managers (belt start RANGE); when they are gone for good: belt swarm rebuild',
  });
}
