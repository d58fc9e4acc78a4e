/**
 * Every call an agent answers: the contract between agents and operators. The plane says what it leans on, `roles` is the authorization
 * table (checked in one place, api/authorize.ts; docs/auth.md shows the same table and a test compares them cell by cell).
 *
 * - `node`: answered by the agent that is asked, quorum or not.
 * - `cluster`: needs the managers' quorum. Any manager takes the call and passes it to the leader, one hop. A `write` ends acknowledged (a
 *   result), refused (any error but the next) or unknown (`outcome_unknown`); a repeat with the same request id is harmless.
 * - `join`: the one call without a client certificate (ALPN `belt-join/1`).
 */
import * as v from 'valibot';

import { Assignment, EngineReport } from '../engine/assign.ts';
import {
  Address, Availability, CertificateRow, Count, Facts, Health, Joined, JoinRequest, JournalEntry, LabelKey, Labels, LastKnown, Membership,
  NodeRef, NodeRole, NodeRow, Id, ManagerAddress, Pem, RaftView, RotationStatus, ShortText, SwarmStatus, Time, TrustedRoots,
} from './shapes.ts';

/** Who calls: the role in the client's certificate, `none` where there is no certificate. */
export type Caller = 'operator' | 'manager' | 'worker' | 'machine' | 'none';
export const CALLERS: readonly Caller[] = ['operator', 'manager', 'worker', 'machine', 'none'];
export type Plane = 'node' | 'cluster' | 'join';

type Schema = v.GenericSchema;
interface CallSpec {
  readonly plane: Plane;
  readonly roles: readonly Caller[];
  /** Whether it changes the cluster's state through Raft. */
  readonly write: boolean;
  readonly params: Schema;
  readonly result: Schema;
  /** One line for docs/auth.md. */
  readonly does: string;
}

/** Addresses that one `node.reach` tries, all at once. */
export const REACH_MAX = 64;

/** What `packBackup` (api/backup.ts) makes; a frame holds 4 MiB. */
const Packed = v.pipe(v.string(), v.maxLength(3_500_000));
const nothing = v.object({});
const done = v.object({ changed: v.boolean() });
const oneNode = v.object({ node: NodeRef });

/** The table. `keys` and `forward` carry secrets or another caller's name, so that only managers may use them. */
export const CALLS = {
  'node.facts': { plane: 'node', roles: ['operator', 'manager'], write: false, params: nothing, result: Facts, does: 'what the machine and its agent are' },
  /** `state`: with the hash of a manager's state, for drills that compare managers; it holds the manager up, so never on a timer. */
  'node.health': {
    plane: 'node', roles: ['operator', 'manager'], write: false, params: v.object({ state: v.optional(v.boolean(), false) }), result: Health,
    does: 'how the agent is, with its own view of Raft',
  },
  'node.metrics': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: v.object({ text: v.string() }), does: 'metrics in the Prometheus text format' },
  'node.logs': {
    plane: 'node', roles: ['operator'], write: false,
    params: v.object({ lines: v.optional(v.pipe(Count, v.maxValue(10_000)), 100) }), result: v.object({ lines: v.array(v.string()) }),
    does: 'the last lines of the agent’s log',
  },
  'node.cluster': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: LastKnown, does: 'the cluster as this node last knew it' },
  /** Refused counts as reached: what was sent came through, and nobody needs to listen yet. */
  'node.reach': {
    plane: 'node', roles: ['operator'], write: false, params: v.object({ addresses: v.pipe(v.array(Address), v.minLength(1), v.maxLength(REACH_MAX)) }),
    result: v.object({ unreached: v.array(v.object({ address: Address, why: ShortText })) }), does: 'which of these addresses the machine cannot reach by TCP',
  },
  'node.reload': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: done, does: 'read key, certificate and configuration again' },
  'node.renew': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: v.object({ notAfter: Time }), does: 'fetch a new certificate now' },
  /** The first manager: makes itself one, with the CA key that was installed over SSH before (`belt-agent install-ca`). A repeat is harmless. */
  'node.init': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: v.object({ id: Id, already: v.boolean() }), does: 'become the first manager of the cluster' },
  'node.join': {
    plane: 'node', roles: ['operator'], write: false,
    params: v.object({
      managers: v.pipe(v.array(Address), v.minLength(1), v.maxLength(64)), token: v.pipe(v.string(), v.maxLength(256)),
      /** The node of this machine's name as the cluster lists it, null where it lists none. A machine that is another one and hears of no manager leaves first, for it was removed. */
      listed: v.optional(v.nullable(Id)),
    }),
    /** Ends when the node is a member: a worker with a session, a manager as a voter. */
    result: v.object({ id: Id, role: NodeRole, already: v.boolean() }),
    does: 'join the cluster of these managers; the token decides the role',
  },
  /** For a manager that a rebuild left behind, or that lost its Raft files: forgets its Raft state and enters again as a learner, same id. */
  'node.rejoin': {
    plane: 'node', roles: ['operator'], write: false,
    params: v.object({ managers: v.pipe(v.array(Address), v.minLength(1), v.maxLength(64)) }), result: v.object({ id: Id, role: NodeRole }),
    does: 'enter the reformed cluster again with the same identity',
  },
  /** The node's own half of leaving, after `nodes.remove`: role certificate, Raft files and keys are wiped, the machine certificate is put back. */
  'node.leave': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: done, does: 'forget the cluster membership' },
  /** Rebuild: this manager goes on alone, as the only voter of the next epoch, with everything it has applied and logged. `epoch` is the one it
   *  shall have then, one more than `node.health` said: a repeat finds it done and changes nothing. */
  'node.reform': {
    plane: 'node', roles: ['operator'], write: false, params: v.object({ epoch: Count }),
    result: v.object({ changed: v.boolean(), raft: RaftView }), does: 'go on as the only manager, with the state kept',
  },
  /** Also without a quorum: what this manager knows then, which may be a little less than what was acknowledged. */
  'node.backup': { plane: 'node', roles: ['operator'], write: false, params: nothing, result: v.object({ backup: Packed }), does: 'what this manager knows of the cluster, without secrets' },
  /** As `node.init`, for a cluster whose managers are all gone. `epoch` is above every one there was. */
  'node.restore': {
    plane: 'node', roles: ['operator'], write: false, params: v.object({ backup: Packed, epoch: v.pipe(Count, v.minValue(1)) }),
    result: v.object({ id: Id, already: v.boolean() }), does: 'become the first manager of a cluster that goes on from a backup',
  },

  'cluster.nodes': { plane: 'cluster', roles: ['operator', 'manager'], write: false, params: nothing, result: v.object({ nodes: v.array(NodeRow) }), does: 'the nodes' },
  'cluster.status': { plane: 'cluster', roles: ['operator', 'manager'], write: false, params: nothing, result: SwarmStatus, does: 'leader, quorum, Raft figures, warnings' },
  'cluster.journal': {
    plane: 'cluster', roles: ['operator'], write: false, params: v.object({ limit: v.optional(v.pipe(Count, v.maxValue(1000)), 100) }),
    result: v.object({ entries: v.array(JournalEntry) }), does: 'the last operations',
  },
  'token.show': { plane: 'cluster', roles: ['operator'], write: false, params: v.object({ role: NodeRole }), result: v.object({ token: v.string() }), does: 'the join token of a role' },
  'token.rotate': { plane: 'cluster', roles: ['operator'], write: true, params: v.object({ role: NodeRole }), result: v.object({ token: v.string() }), does: 'replace the join token of a role' },
  'nodes.label': {
    plane: 'cluster', roles: ['operator'], write: true,
    params: v.object({ node: NodeRef, set: v.optional(Labels, {}), unset: v.optional(v.array(LabelKey), []) }), result: done, does: 'set and remove labels',
  },
  'nodes.availability': { plane: 'cluster', roles: ['operator'], write: true, params: v.object({ node: NodeRef, availability: Availability }), result: done, does: 'set active, pause or drain' },
  /** Answers when the role is recorded; the node follows by itself. `cluster.nodes` shows `becoming` until it is done. */
  'nodes.promote': { plane: 'cluster', roles: ['operator'], write: true, params: oneNode, result: done, does: 'make a worker a manager' },
  /** Refused (`refused`) where the managers left would have no reachable quorum, unless `force`. */
  'nodes.demote': { plane: 'cluster', roles: ['operator'], write: true, params: v.object({ node: NodeRef, force: v.optional(v.boolean(), false) }), result: done, does: 'make a manager a worker' },
  /** Takes the node out of Raft and of the node list and revokes its certificates. An absent node is `changed: false`. A node that is `ready` is
   *  refused unless `force` or `leaving` (its own `node.leave` follows). */
  'nodes.remove': {
    plane: 'cluster', roles: ['operator'], write: true,
    params: v.object({ node: NodeRef, leaving: v.optional(v.boolean(), false), force: v.optional(v.boolean(), false) }), result: done, does: 'remove a node from the cluster',
  },
  'certs.list': { plane: 'cluster', roles: ['operator'], write: false, params: nothing, result: v.object({ certificates: v.array(CertificateRow) }), does: 'certificates issued and revoked' },
  /** Writes down a certificate that the CLI signed with the cluster's own CA key (operators, machines), so that it can be listed and revoked by name. */
  'certs.record': { plane: 'cluster', roles: ['operator'], write: true, params: v.object({ certificate: Pem }), result: done, does: 'write down a certificate signed elsewhere' },
  /** By serial number, by operator name (`operator:NAME`) or by node. */
  'certs.revoke': { plane: 'cluster', roles: ['operator'], write: true, params: v.object({ which: ShortText }), result: v.object({ serials: v.array(ShortText) }), does: 'revoke certificates' },
  /** Starts (or goes on with) the rotation to a CA made by the CLI; the key goes to managers only. */
  'ca.rotate': { plane: 'cluster', roles: ['operator'], write: true, params: v.object({ certificate: Pem, key: Pem }), result: RotationStatus, does: 'rotate the CA' },
  'ca.status': { plane: 'cluster', roles: ['operator'], write: false, params: nothing, result: RotationStatus, does: 'how far the rotation is' },

  /** A node's own certificate, for the role the cluster wants it to have. Any manager with the CA key answers, quorum or not. */
  'member.renew': { plane: 'node', roles: ['manager', 'worker'], write: false, params: v.object({ csr: Pem }), result: v.object({ certificate: Pem, membership: Membership }), does: 'renew the caller’s own certificate' },
  'member.membership': { plane: 'node', roles: ['manager', 'worker'], write: false, params: nothing, result: Membership, does: 'what the caller shall know of the cluster' },
  /** Opens a worker's session: events are memberships, heartbeats go the other way. Only the leader takes it; others answer with `leader`. */
  'member.session': {
    plane: 'cluster', roles: ['worker'], write: false,
    params: v.object({ address: Address, agentVersion: ShortText, engine: v.picklist(['docker', 'none']), membershipVersion: Count }),
    result: v.object({ leader: v.nullable(ManagerAddress) }), does: 'a worker’s session to the leader',
  },
  /** The key that opens the secrets in the state (the CA's key among them), hex, over the mutual connection between two managers. */
  'member.keys': {
    plane: 'node', roles: ['manager'], write: false, params: nothing, result: v.object({ sealKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) }),
    does: 'the sealing key for a new manager',
  },
  /** A certificate that a manager signed by itself, perhaps while there was no quorum: written down when there is one. */
  'member.issued': { plane: 'cluster', roles: ['manager'], write: true, params: v.object({ certificate: Pem }), result: done, does: 'write down a renewed certificate' },
  /** The caller, a manager of that epoch, asks to be taken into Raft: as a learner first, a voter when it has caught up. Asked again until `voter`. */
  'member.enter': { plane: 'cluster', roles: ['manager'], write: true, params: v.object({ address: Address, epoch: v.optional(Count, 0) }), result: v.object({ voter: v.boolean(), epoch: Count }), does: 'a manager enters Raft' },
  /** From the leader after a rebuild, to a manager that was off meanwhile: it stops and comes back to these managers. */
  'member.recall': {
    plane: 'node', roles: ['manager'], write: false, params: v.object({ epoch: Count, managers: v.pipe(v.array(Address), v.minLength(1), v.maxLength(64)) }), result: done,
    does: 'come back to the managers of a newer epoch',
  },
  /** What a node's engine is, and what the leader wants it to do: form the swarm, join it, leave it. */
  'engine.report': { plane: 'cluster', roles: ['manager', 'worker'], write: false, params: EngineReport, result: Assignment, does: 'how the caller’s engine stands, answered with what it shall do' },
  /** A cluster call that reached a manager which does not lead. The original caller's role is checked again at the leader. */
  forward: {
    plane: 'cluster', roles: ['manager'], write: true,
    params: v.object({ call: ShortText, params: v.unknown(), request: Id, caller: v.object({ role: v.picklist(['operator', 'manager', 'worker', 'none']), name: ShortText }) }),
    result: v.unknown(), does: 'pass another caller’s call to the leader',
  },
  /** For a node that was off while the CA was replaced: the roots, and the old one's signature over the new. Nothing here is secret. */
  roots: { plane: 'join', roles: ['none'], write: false, params: nothing, result: TrustedRoots, does: 'the roots in force, the new one vouched for by the old' },
  join: { plane: 'join', roles: ['none'], write: true, params: JoinRequest, result: Joined, does: 'a role certificate for a join token' },
} as const satisfies Record<string, CallSpec>;

export type CallName = keyof typeof CALLS;
export type CallParams<N extends CallName> = v.InferInput<(typeof CALLS)[N]['params']>;
export type CheckedParams<N extends CallName> = v.InferOutput<(typeof CALLS)[N]['params']>;
export type CallResult<N extends CallName> = v.InferOutput<(typeof CALLS)[N]['result']>;

/** Whether `name` is a call of this release. */
export function isCallName(name: string): name is CallName {
  return Object.hasOwn(CALLS, name);
}
