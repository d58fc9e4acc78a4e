/** What the cluster looks like, made from the replicated state, Raft's own figures and the leader's sessions. Pure. */
import { agreedOn } from '../engine/removal.ts';
import type { RaftStatus } from '../raft/types.ts';
import type { NodeRecord } from '../store/records.ts';
import type { ClusterState } from '../store/state.ts';
import type { CommonMembership } from '../session/digest.ts';
import type { ManagerAddress, ManagerRow, NodeRow, SwarmStatus } from './shapes.ts';

/** What one manager sees. Only the leader hears the others: elsewhere `alive` knows of itself alone. */
export interface Sight {
  readonly self: string;
  readonly state: ClusterState;
  readonly raft: RaftStatus;
  readonly epoch: number;
  readonly disk: { readonly logBytes: number | null; readonly snapshotAgeMs: number | null };
  /** A node's sign of life by its session; `unknown` where nobody could know. */
  readonly alive: (id: string) => 'ready' | 'down' | 'unknown';
}

/** A follower that was not heard for so long is unreachable, ms at least; two election timeouts where those are longer. */
const CONTACT_MS_MIN = 2000;

/** All nodes, managers first, then by name as people count. */
export function nodeRows(sight: Sight): NodeRow[] {
  const rows = [...sight.state.tables.nodes.values()].map((node) => nodeRow(sight, node));
  return rows.sort((a, b) => (a.role === b.role ? a.name.localeCompare(b.name, 'en', { numeric: true }) : a.role === 'manager' ? -1 : 1));
}

function nodeRow(sight: Sight, node: NodeRecord): NodeRow {
  const member = sight.raft.membership.members.find(({ id }) => id === node.id);
  const contact = managerContact(sight, node.id);
  const session = sight.alive(node.id);
  return {
    name: node.name, id: node.id, dockerId: node.dockerId, role: node.role,
    status: contact === 'leader' || contact === 'reachable' ? 'ready' : node.role === 'manager' && contact === 'unreachable' && session !== 'ready' ? 'down' : session,
    availability: node.availability,
    managerStatus: node.role === 'manager' ? (contact ?? (sight.raft.role === 'leader' ? 'unreachable' : null)) : null,
    datacenter: node.datacenter ?? '', labels: { ...node.labels }, engine: node.engine, agentVersion: node.agentVersion, address: node.address,
    joinedAt: new Date(node.joinedAt).toISOString(),
    becoming: (node.role === 'manager' ? member?.voter !== true : member !== undefined) || engineLags(sight.state, node) ? node.role : null,
  };
}

/** Whether Docker, asked for the node's role, has not come to it yet. */
function engineLags({ tables }: ClusterState, { id, role, engine, dockerId }: NodeRecord): boolean {
  if (engine === 'none' || dockerId === null || tables.swarm === null) return false;
  const agreed = agreedOn(tables, id);
  return agreed?.dockerId === dockerId && agreed.role !== role;
}

/** Null where this manager cannot tell: it does not lead, or the node is no member of Raft. */
function managerContact({ self, raft, state }: Sight, id: string): 'leader' | 'reachable' | 'unreachable' | null {
  if (!raft.membership.members.some((member) => member.id === id)) return null;
  if (raft.leader === id) return 'leader';
  if (raft.role !== 'leader') return id === self ? 'reachable' : null;
  return state.tables.nodes.has(id) && inReach(raft, id) ? 'reachable' : 'unreachable';
}

/** Whether the leader has heard the other member lately. */
export function inReach({ peers, electionMs }: RaftStatus, id: string): boolean {
  const contact = peers.find((peer) => peer.id === id)?.lastContactMs ?? null;
  return contact !== null && contact < Math.max(CONTACT_MS_MIN, 2 * electionMs);
}

/** Managers as the leader knows them, voters and learners. */
export function managerRows(sight: Sight): ManagerRow[] {
  const { raft, state } = sight;
  const rows = raft.membership.members.map((member): ManagerRow => {
    const node = state.tables.nodes.get(member.id);
    const peer = raft.peers.find(({ id }) => id === member.id);
    const self = member.id === raft.id;
    return {
      id: member.id, name: node?.name ?? member.id, address: member.address, datacenter: node?.datacenter ?? '',
      status: managerContact(sight, member.id) ?? 'unreachable', voter: member.voter,
      matchIndex: self ? raft.durable : (peer?.match ?? null), lag: self ? 0 : (peer?.lag ?? null),
      rttMs: self ? 0 : (peer?.rttMs ?? null), lastContactMs: self ? 0 : (peer?.lastContactMs ?? null),
    };
  });
  return rows.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** Votes that make a majority of so many managers. */
export function quorumOf(managers: number): number {
  return Math.floor(managers / 2) + 1;
}

export function swarmStatus(sight: Sight): Omit<SwarmStatus, 'rebuilding'> {
  const { raft, state } = sight;
  const managers = managerRows(sight);
  const voters = managers.filter(({ voter }) => voter);
  const reachable = voters.filter(({ status }) => status !== 'unreachable');
  const quorum = quorumOf(voters.length);
  const workers = [...state.tables.nodes.values()].filter(({ role }) => role === 'worker');
  const survives = datacentersSurvived(reachable, quorum);
  return {
    clusterId: state.tables.cluster?.id ?? '',
    leader: managers.find(({ status }) => status === 'leader')?.name ?? null,
    term: raft.term, managers,
    workers: { ready: workers.filter(({ id }) => sight.alive(id) === 'ready').length, total: workers.length },
    quorum, reachable: reachable.length,
    tolerates: { nodes: Math.max(0, reachable.length - quorum), datacenters: survives },
    warnings: warningsOf(voters, quorum, survives),
    raft: { epoch: sight.epoch, commitIndex: raft.commit, appliedIndex: raft.applied, lastIndex: raft.lastIndex, snapshotIndex: raft.snapshotIndex, ...sight.disk },
  };
}

/** The datacenters whose loss, one of them at a time, leaves a quorum of the managers reachable now. */
function datacentersSurvived(reachable: readonly ManagerRow[], quorum: number): string[] {
  const counts = new Map<string, number>();
  for (const { datacenter } of reachable) counts.set(datacenter, (counts.get(datacenter) ?? 0) + 1);
  return [...counts].filter(([, lost]) => reachable.length - lost >= quorum).map(([name]) => name).sort();
}

function warningsOf(voters: readonly ManagerRow[], quorum: number, survives: readonly string[]): string[] {
  const warnings = voters.filter(({ status }) => status === 'unreachable').map(({ name }) => `manager ${name} is unreachable`);
  const reachable = voters.length - warnings.length;
  const all = [...new Set(voters.map(({ datacenter }) => datacenter))];
  if (reachable === quorum && voters.length > 1) warnings.push(`the loss of one more manager loses control: ${reachable} of ${voters.length} are reachable, ${quorum} are needed`);
  if (voters.length % 2 === 0) warnings.push(`${voters.length} managers survive no more losses than ${voters.length - 1}`);
  for (const datacenter of all.filter((name) => all.length > 1 && !survives.includes(name))) warnings.push(`the loss of datacenter ${datacenter} loses control`);
  return warnings;
}

/** Managers a member may turn to: the voters. */
export function managerAddresses(state: ClusterState, raft: RaftStatus): ManagerAddress[] {
  return raft.membership.members
    .filter(({ voter }) => voter)
    .map(({ id, address }) => ({ id, name: state.tables.nodes.get(id)?.name ?? id, address }));
}

/** What every node shall know of the cluster, whoever it is. */
export function commonMembership(state: ClusterState, raft: RaftStatus, epoch: number, now: number): CommonMembership {
  const { authority, nodes } = state.tables;
  return {
    version: state.index, managers: managerAddresses(state, raft), roots: (authority?.roots ?? []).join(''), revoked: state.revokedSerials(now),
    nodes: nodes.size, epoch,
  };
}
