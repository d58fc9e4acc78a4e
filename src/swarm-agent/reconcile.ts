/**
 * What the leader drives to its end, again and again until nothing is left: Raft's members follow the roles in the state, one change at a time, and
 * the journal's operations are closed. It decides from the state alone, so a leader that died in between is simply continued.
 */
import { asBeltError, isBeltError } from '../errors.ts';
import type { Group } from './api/group.ts';
import type { Clock, Log } from './ports.ts';
import { inReach, quorumOf } from './api/view.ts';
import type { Member, MembershipChange, RaftStatus } from './raft/types.ts';
import type { Change } from './store/commands.ts';
import type { ClusterState } from './store/state.ts';

/** The next thing to do. */
export type Step =
  | { readonly do: 'membership'; readonly change: MembershipChange }
  | { readonly do: 'hand-over' }
  | { readonly do: 'write'; readonly id: string; readonly change: Change };

/** One step, or null when all is as it should be. Pure. */
export function nextStep(state: ClusterState, raft: RaftStatus, self: string): Step | null {
  return membershipStep(state, raft, self) ?? journalStep(state, raft) ?? certificateStep(state);
}

function membershipStep(state: ClusterState, raft: RaftStatus, self: string): Step | null {
  const { nodes } = state.tables;
  const { members } = raft.membership;
  const voters = members.filter(({ voter }) => voter);
  const surplus = members.filter(({ id }) => nodes.get(id)?.role !== 'manager');
  // Others first: this leader removes itself only by handing over. Whom the others cannot do without yet stays until they can.
  const leaving = surplus.toSorted((a, b) => Number(a.id === self) - Number(b.id === self)).find(({ id, voter }) => !voter || leavesQuorum(voters, id, raft, self));
  if (leaving !== undefined) {
    return leaving.id === self ? { do: 'hand-over' } : { do: 'membership', change: { kind: 'remove', id: leaving.id } };
  }
  const grown = raft.peers.find(({ id, voter, caughtUp }) => !voter && caughtUp && nodes.get(id)?.role === 'manager');
  return grown === undefined ? null : { do: 'membership', change: { kind: 'promote', id: grown.id } };
}

/** Whether enough of the voters left would be in reach: a removal that they cannot agree on takes the quorum from those that still have one. */
function leavesQuorum(voters: readonly Member[], id: string, raft: RaftStatus, self: string): boolean {
  const left = voters.filter((voter) => voter.id !== id);
  const reachable = left.filter((voter) => voter.id === self || inReach(raft, voter.id)).length;
  return left.length > 0 && reachable >= quorumOf(left.length);
}

function journalStep({ tables }: ClusterState, raft: RaftStatus): Step | null {
  for (const operation of tables.operations.values()) {
    if (operation.state !== 'intended' || (operation.kind !== 'promote' && operation.kind !== 'demote')) continue;
    const node = tables.nodes.get(operation.subject);
    const member = raft.membership.members.find(({ id }) => id === operation.subject);
    const wanted = operation.kind === 'promote' ? 'manager' : 'worker';
    const overtaken = node?.role !== wanted;
    const reached = operation.kind === 'promote' ? member?.voter === true : member === undefined;
    if (!overtaken && !reached) continue;
    const change: Change = { type: 'operation.end', operation: operation.id, state: overtaken ? 'failed' : 'done', detail: overtaken ? 'another operation came between' : operation.detail };
    return { do: 'write', id: `${operation.id}.end`, change };
  }
  return null;
}

/** Certificates a state may hold before those that have run out are forgotten: a few of each node, and as many of operators. */
const CERTIFICATES = { ofNode: 4, others: 256 } as const;

/** Every renewal leaves a record; without this the state would grow for ever. Told by the state's own time, so that all leaders decide alike. */
function certificateStep({ tables: { certificates, nodes }, at, index }: ClusterState): Step | null {
  if (certificates.size <= CERTIFICATES.ofNode * nodes.size + CERTIFICATES.others) return null;
  for (const { notAfter } of certificates.values()) if (notAfter < at) return { do: 'write', id: `prune.${index}`, change: { type: 'certificate.prune' } };
  return null;
}

/** Milliseconds between looks when nothing woke it; shorter while a new manager catches up, of which no event tells. */
const LOOK_MS = 500;
const CATCHING_UP_MS = 50;

export interface ReconcilerOptions {
  readonly clock: Clock;
  readonly group: Group;
  readonly log: Log;
  /** Whether it takes the steps of membership and operations, or only `also`: what may wait long has a reconciler of its own, so that Raft does not wait with it. */
  readonly steps: boolean;
  /** Further work of the leader (CA rotation, the engine's swarm): true where it did something and wants another look at once. */
  readonly also: ReadonlyArray<(signal: AbortSignal) => Promise<boolean>>;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #stop = new AbortController();
  #cancel = (): void => undefined;
  #busy: Promise<void> | null = null;
  #again = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#schedule(LOOK_MS);
  }

  /** Something changed: look now. */
  wake(): void {
    if (this.#busy === null) this.#schedule(0);
    else this.#again = true;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancel();
    await this.#busy;
  }

  #schedule(ms: number): void {
    this.#cancel();
    if (this.#stop.signal.aborted) return;
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#busy ??= this.#look().finally(() => {
        this.#busy = null;
        this.#schedule(this.#again ? 0 : this.#catchingUp() ? CATCHING_UP_MS : LOOK_MS);
        this.#again = false;
      });
    });
  }

  #catchingUp(): boolean {
    const { group, steps } = this.#options;
    const { role, peers } = group.status();
    return steps && role === 'leader' && peers.some(({ voter }) => !voter);
  }

  async #look(): Promise<void> {
    const { group, log, also, steps } = this.#options;
    try {
      if (group.status().role !== 'leader') return;
      // A new leader may not have applied yet what its predecessor committed.
      await group.read();
      while (!this.#stop.signal.aborted && group.status().role === 'leader') {
        const step = steps ? nextStep(group.state, group.status(), group.id) : null;
        if (step !== null) await this.#take(step);
        else if (!(await this.#furtherWork(also))) return;
      }
    } catch (error) {
      // Not yet, or no leader any more: the next look sees. Anything else is worth a line.
      if (!isBeltError(error) || !error.retryable) log(`reconcile: ${asBeltError(error).message}`);
    }
  }

  async #furtherWork(also: ReconcilerOptions['also']): Promise<boolean> {
    for (const work of also) if (await work(this.#stop.signal)) return true;
    return false;
  }

  async #take(step: Step): Promise<void> {
    const { group, log } = this.#options;
    if (step.do === 'membership') {
      log(`raft membership: ${step.change.kind} ${step.change.id}`);
      await group.change(step.change);
    } else if (step.do === 'hand-over') await group.transfer(null);
    else await group.write(step.id, step.change);
  }
}
