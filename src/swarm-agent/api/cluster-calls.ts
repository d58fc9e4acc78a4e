/** The calls of the cluster plane as the leader answers them: reads of the state, and writes with the refusals that keep a quorum. */
import { BeltError } from '../../errors.ts';
import { removeNode } from '../engine/removal.ts';
import type { Change } from '../store/commands.ts';
import type { NodeRecord } from '../store/records.ts';
import type { CheckedParams, CallResult } from './calls.ts';
import type { Group } from './group.ts';
import { managerRows, nodeRows, quorumOf, swarmStatus, type Sight } from './view.ts';

export interface ClusterCallsOptions {
  readonly group: Group;
  readonly sight: () => Sight;
  /** The reconciler has something to do. */
  readonly wake: () => void;
  /** Resolves when the node is in Raft no more; rejects with `timeout`. */
  readonly outOfRaft: (id: string, deadline: number) => Promise<void>;
  /** Takes a manager out of the engine's own quorum first. Rejects where that would break it, unless `force`. */
  readonly stepDown: (id: string, deadline: number, force: boolean) => Promise<void>;
  /** What the operator should know of the engines. */
  readonly engines: () => { readonly warnings: readonly string[]; readonly rebuilding: boolean };
}

/** What every write carries: its request id, when a repeat was first sent (ms since 1970), and until when the caller waits (monotonic ms). */
export interface Write {
  readonly request: string;
  readonly first?: number | undefined;
  readonly deadline: number;
  /** Who asks, for the journal. */
  readonly actor: string;
}

type Done = { changed: boolean };

export class ClusterCalls {
  readonly #options: ClusterCallsOptions;

  constructor(options: ClusterCallsOptions) {
    this.#options = options;
  }

  async nodes(): Promise<CallResult<'cluster.nodes'>> {
    await this.#options.group.read();
    return { nodes: nodeRows(this.#options.sight()) };
  }

  async status(): Promise<CallResult<'cluster.status'>> {
    await this.#options.group.read();
    const status = swarmStatus(this.#options.sight());
    const { warnings, rebuilding } = this.#options.engines();
    return { ...status, warnings: [...status.warnings, ...warnings], rebuilding };
  }

  async journal({ limit }: CheckedParams<'cluster.journal'>): Promise<CallResult<'cluster.journal'>> {
    const { group } = this.#options;
    await group.read();
    const { operations, nodes } = group.state.tables;
    const newest = [...operations.values()].sort((a, b) => b.intendedAt - a.intendedAt).slice(0, limit);
    return {
      entries: newest.map((operation) => ({
        id: operation.id, action: operation.kind, subject: nodes.get(operation.subject)?.name ?? operation.subject, state: operation.state,
        detail: operation.detail, intendedAt: new Date(operation.intendedAt).toISOString(),
        endedAt: operation.endedAt === null ? null : new Date(operation.endedAt).toISOString(),
      })),
    };
  }

  async label({ node: ref, set, unset }: CheckedParams<'nodes.label'>, write: Write): Promise<Done> {
    const node = await this.#node(ref);
    const same = Object.entries(set).every(([key, value]) => node.labels[key] === value) && unset.every((key) => !Object.hasOwn(node.labels, key));
    if (same) return { changed: false };
    await this.#options.group.write(write.request, { type: 'node.label', node: node.id, set, remove: unset }, write.first);
    return { changed: true };
  }

  async availability({ node: ref, availability }: CheckedParams<'nodes.availability'>, write: Write): Promise<Done> {
    const node = await this.#node(ref);
    if (node.availability === availability) return { changed: false };
    await this.#options.group.write(write.request, { type: 'node.availability', node: node.id, availability }, write.first);
    return { changed: true };
  }

  async promote({ node: ref }: CheckedParams<'nodes.promote'>, write: Write): Promise<Done> {
    const node = await this.#node(ref);
    if (node.role === 'manager') return { changed: false };
    await this.#roleChange(node, 'manager', 'promote', write);
    return { changed: true };
  }

  async demote({ node: ref, force }: CheckedParams<'nodes.demote'>, write: Write): Promise<Done> {
    const node = await this.#node(ref);
    if (node.role === 'worker') return { changed: false };
    this.#keepQuorum(node, 'demote', force);
    await this.#stepAside(node);
    await this.#options.stepDown(node.id, write.deadline, force);
    await this.#roleChange(node, 'worker', 'demote', write);
    return { changed: true };
  }

  /** A manager is taken out of Raft first, so that what is left is a group that agrees on it. */
  async remove({ node: ref, leaving, force }: CheckedParams<'nodes.remove'>, write: Write): Promise<Done> {
    const { group, sight } = this.#options;
    await group.read();
    const node = group.state.node(ref);
    if (node === undefined) return { changed: false };
    const row = nodeRows(sight()).find(({ id }) => id === node.id);
    if (row?.status === 'ready' && !leaving && !force) {
      throw new BeltError('refused', `${node.name} is ready: it would go on working without belt`, { machine: node.name, next: `belt swarm leave ${node.name}` });
    }
    if (group.status().membership.members.some(({ id }) => id === node.id)) {
      this.#keepQuorum(node, 'remove', force);
      await this.#stepAside(node);
      await this.#options.stepDown(node.id, write.deadline, force);
      if (node.role === 'manager') await group.write(`${write.request}.role`, { type: 'node.role', node: node.id, role: 'worker' }, write.first);
      this.#options.wake();
      await this.#options.outOfRaft(node.id, write.deadline);
    }
    await group.write(write.request, removeNode(group.state, node), write.first);
    return { changed: true };
  }

  async #node(ref: string): Promise<NodeRecord> {
    const { group } = this.#options;
    await group.read();
    const node = group.state.node(ref);
    if (node === undefined) throw new BeltError('unknown_machine', `no node of the cluster is called ${ref}`, { machine: ref, next: 'belt swarm nodes' });
    return node;
  }

  async #roleChange(node: NodeRecord, role: 'manager' | 'worker', kind: string, { request, first, actor }: Write): Promise<void> {
    const changes: Change[] = [
      { type: 'node.role', node: node.id, role },
      { type: 'operation.intend', operation: request, kind, subject: node.id, detail: JSON.stringify({ actor }) },
    ];
    await this.#options.group.write(request, { type: 'all', changes }, first);
    this.#options.wake();
  }

  /** Who leads cannot carry out its own removal: it hands over, and the caller's call goes on at the next leader. */
  async #stepAside(node: NodeRecord): Promise<void> {
    const { group } = this.#options;
    if (node.id !== group.id) return;
    await group.transfer(null);
    throw new BeltError('no_quorum', 'leadership was handed over');
  }

  /** Refuses to take `node` out of Raft where the managers left would have no quorum in reach. */
  #keepQuorum(node: NodeRecord, verb: string, force: boolean): void {
    const { nodes } = this.#options.group.state.tables;
    // Who is on the way out already counts as gone: two demotions in a row are judged together.
    const voters = managerRows(this.#options.sight()).filter(({ id, voter }) => voter && (id === node.id || nodes.get(id)?.role === 'manager'));
    const left = voters.filter(({ id }) => id !== node.id);
    if (left.length === voters.length) return;
    if (left.length === 0) throw new BeltError('refused', `${node.name} is the only manager`, { machine: node.name, next: 'belt swarm promote another node first' });
    const reachable = left.filter(({ status }) => status !== 'unreachable').length;
    const needed = quorumOf(left.length);
    if (reachable >= needed || force) return;
    throw new BeltError('refused', `without ${node.name} there are ${left.length} managers, ${needed} are needed and only ${reachable} are reachable`, {
      machine: node.name, next: `start the others first, or: belt swarm ${verb === 'remove' ? 'leave' : verb} ${node.name} --force`,
    });
  }
}
