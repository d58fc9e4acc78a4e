/**
 * The data that crosses the agent's API, as valibot schemas: checked where it arrives, typed where it is used. Objects are open (an unknown
 * key is dropped, not refused), so that two releases can run side by side.
 */
import * as v from 'valibot';

/** The role of a node in the swarm. */
export const NodeRole = v.picklist(['manager', 'worker']);
/** What a certificate of the cluster says its holder is; `machine` is a bootstrapped machine that is no node yet. */
export const CertificateRole = v.picklist(['operator', 'manager', 'worker', 'machine']);
/** Whether a node is given work; the words and the meaning are Docker's. */
export const Availability = v.picklist(['active', 'pause', 'drain']);
export const EngineKind = v.picklist(['docker', 'none']);

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const shortText = v.pipe(v.string(), v.maxLength(256));
/** ISO 8601, UTC. */
const time = v.pipe(v.string(), v.maxLength(40));
/** PEM text of one certificate, request or key; roots may be several in one text. */
const pem = v.pipe(v.string(), v.maxLength(32_768));

/** A machine name: what the ranges of the command line expand to. */
export const MachineName = v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i, 'is no machine name'));
/** 32 lower-case hexadecimal digits. */
export const Id = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'is no id (32 hexadecimal digits)'));
/** A node by its machine name or by its id. */
export const NodeRef = MachineName;
/** `host:port` of an agent. */
export const Address = v.pipe(v.string(), v.regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i, 'is no host:port'));
export const LabelKey = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9._/-]{0,127}$/i, 'is no label key'));
export const Labels = v.record(LabelKey, shortText);

/** A certificate signing request with the token that earns an answer. */
export const JoinRequest = v.object({
  token: v.pipe(v.string(), v.maxLength(256)),
  csr: v.pipe(v.string(), v.maxLength(4096)),
  /** Chosen by the joiner and kept until it is in: the node id is made of it and the key, so that a repeat is the same node. */
  nonce: Id,
  /** The certificate that bootstrap gave the joiner: name and address are the operator's word, not its own. */
  machine: v.pipe(v.string(), v.maxLength(8192)),
  name: MachineName,
  /** Where the joiner's own agent listens. */
  address: Address,
  datacenter: shortText,
  publicIpv4: v.optional(v.nullable(shortText), null),
  privateIpv4: v.optional(v.nullable(shortText), null),
  driver: v.optional(v.nullable(shortText), null),
  region: v.optional(v.nullable(shortText), null),
  size: v.optional(v.nullable(shortText), null),
  agentVersion: shortText,
  engine: EngineKind,
});
export type JoinRequest = v.InferOutput<typeof JoinRequest>;

export const ManagerAddress = v.object({ id: Id, name: MachineName, address: Address });
export type ManagerAddress = v.InferOutput<typeof ManagerAddress>;

/** What every member keeps of the cluster, and is told again whenever it changes. */
export const Membership = v.object({
  /** Grows with every change, so that an older one never replaces a newer. */
  version: count,
  managers: v.array(ManagerAddress),
  /** Roots to trust, PEM. */
  roots: pem,
  /** Serial numbers (lower-case hex) that are revoked. */
  revoked: v.array(shortText),
  /** What this node shall be; where it differs from what it is, it fetches a certificate of that role. */
  role: NodeRole,
  /** Which root signs now, counted from 1: a certificate of an older generation is renewed soon. */
  generation: count,
  /** How many nodes there are: the more, the longer they wait before they all come back at once. */
  nodes: count,
  /** How often the managers' group was reformed (`node.reform`). */
  epoch: count,
});
export type Membership = v.InferOutput<typeof Membership>;

export const Joined = v.object({ id: Id, already: v.boolean(), certificate: pem, membership: Membership });
export type Joined = v.InferOutput<typeof Joined>;

export const Facts = v.object({
  machine: MachineName,
  clusterId: shortText,
  nodeId: v.nullable(Id),
  role: v.picklist(['machine', 'worker', 'manager']),
  address: Address,
  datacenter: shortText,
  agentVersion: shortText,
  nodeVersion: shortText,
  hostname: shortText,
  os: shortText,
  kernel: shortText,
  arch: shortText,
  cpus: count,
  memoryMb: count,
  pid: count,
  startedAt: time,
  engine: EngineKind,
  engineVersion: v.nullable(shortText),
  certificate: v.object({ serial: shortText, role: CertificateRole, notBefore: time, notAfter: time }),
});
export type Facts = v.InferOutput<typeof Facts>;

/** This manager's own view of Raft; needs no quorum, so a rebuild can compare survivors by it. */
export const RaftView = v.object({
  state: v.picklist(['leader', 'follower', 'candidate', 'learner', 'stopped']),
  /** How often the group was reformed; members of different epochs do not talk. */
  epoch: count,
  term: count,
  leader: v.nullable(Id),
  commitIndex: count,
  appliedIndex: count,
  lastIndex: count,
  /** The term of the last entry; null from an agent that did not tell it yet. */
  lastTerm: v.optional(v.nullable(count), null),
  logBytes: v.nullable(count),
  snapshotIndex: count,
  snapshotAgeMs: v.nullable(count),
  members: v.array(v.object({ ...ManagerAddress.entries, voter: v.boolean(), datacenter: shortText })),
});
export type RaftView = v.InferOutput<typeof RaftView>;

export const Health = v.object({
  machine: MachineName,
  nodeId: v.nullable(Id),
  role: v.picklist(['machine', 'worker', 'manager']),
  /** Manager: its Raft; null on every other node. */
  raft: v.nullable(RaftView),
  /** Worker: the manager it holds a session to, null while it has none. */
  session: v.nullable(v.object({ manager: Id, sinceMs: count })),
  /** The newest epoch of the managers' group that this node has heard of; Raft's own may be older on a manager that was left behind. */
  epoch: v.optional(count, 0),
  certificateExpires: time,
  /** Manager, where it was asked for: the hash of its state and the Raft index it is of. */
  state: v.optional(v.nullable(v.object({ index: count, hash: shortText })), null),
  /** What is wrong, one sentence each; empty when all is well. */
  problems: v.array(v.string()),
});
export type Health = v.InferOutput<typeof Health>;

/** A row of `belt swarm nodes`; the field names are a contract with scripts. */
export const NodeRow = v.object({
  name: MachineName,
  id: Id,
  dockerId: v.nullable(shortText),
  role: NodeRole,
  status: v.picklist(['ready', 'down', 'unknown']),
  availability: Availability,
  managerStatus: v.nullable(v.picklist(['leader', 'reachable', 'unreachable'])),
  datacenter: shortText,
  labels: v.record(v.string(), v.string()),
  engine: EngineKind,
  agentVersion: shortText,
  address: Address,
  joinedAt: time,
  /** Null on a node whose role and certificate agree; else the role it is on the way to. */
  becoming: v.nullable(NodeRole),
});
export type NodeRow = v.InferOutput<typeof NodeRow>;

export const ManagerRow = v.object({
  ...ManagerAddress.entries,
  datacenter: shortText,
  status: v.picklist(['leader', 'reachable', 'unreachable']),
  /** A learner is still catching up and does not count. */
  voter: v.boolean(),
  matchIndex: v.nullable(count),
  /** Entries behind the leader's log. */
  lag: v.nullable(count),
  rttMs: v.nullable(v.number()),
  lastContactMs: v.nullable(v.number()),
});
export type ManagerRow = v.InferOutput<typeof ManagerRow>;

export const SwarmStatus = v.object({
  clusterId: shortText,
  leader: v.nullable(MachineName),
  term: count,
  managers: v.array(ManagerRow),
  workers: v.object({ ready: count, total: count }),
  quorum: count,
  reachable: count,
  tolerates: v.object({ nodes: count, datacenters: v.array(v.string()) }),
  warnings: v.array(v.string()),
  /** Whether the engines' half of a rebuild is still to come by itself. */
  rebuilding: v.optional(v.boolean(), false),
  raft: v.object({
    epoch: count,
    commitIndex: count,
    appliedIndex: count,
    lastIndex: count,
    logBytes: v.nullable(count),
    snapshotIndex: count,
    snapshotAgeMs: v.nullable(count),
  }),
});
export type SwarmStatus = v.InferOutput<typeof SwarmStatus>;

/** The cluster as this node last knew it: no promise that it still is so. */
export const LastKnown = v.object({
  /** When this node was last sure of it (in contact with a leader), null if never. */
  asOf: v.nullable(time),
  nodes: v.array(NodeRow),
  managers: v.array(ManagerAddress),
  revoked: v.array(shortText),
});
export type LastKnown = v.InferOutput<typeof LastKnown>;

export const CertificateRow = v.object({
  serial: shortText,
  role: v.nullable(CertificateRole),
  /** Operator or machine name, or the node's; null where only the serial was ever known. */
  name: v.nullable(shortText),
  nodeId: v.nullable(Id),
  notAfter: time,
  revokedAt: v.nullable(time),
  /** The CA that signed it has been replaced: nobody believes it any more. */
  caDropped: v.boolean(),
});
export type CertificateRow = v.InferOutput<typeof CertificateRow>;

export const JournalEntry = v.object({
  id: shortText,
  action: shortText,
  /** A node's name, or what the action says. */
  subject: shortText,
  state: v.picklist(['intended', 'done', 'failed']),
  detail: v.string(),
  intendedAt: time,
  endedAt: v.nullable(time),
});
export type JournalEntry = v.InferOutput<typeof JournalEntry>;

export const TrustedRoots = v.object({
  roots: pem,
  /** Signature of the old root's key over the DER of the new root, base64; null when no rotation is under way. */
  endorsement: v.nullable(shortText),
});
export type TrustedRoots = v.InferOutput<typeof TrustedRoots>;

export const RotationStatus = v.object({
  phase: v.picklist(['none', 'trust', 'reissue', 'retire']),
  /** Nodes whose certificate the new root has signed, of all nodes. */
  renewed: count,
  total: count,
  /** Names of nodes that still hold a certificate of the old root. */
  waiting: v.array(MachineName),
});
export type RotationStatus = v.InferOutput<typeof RotationStatus>;

export { count as Count, pem as Pem, shortText as ShortText, time as Time };
