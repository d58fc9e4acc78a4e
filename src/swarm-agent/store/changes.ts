/** What each change does to the tables. Pure but for the tables: nothing here reads a clock or draws a number. */
import type { Change, NewNode } from './commands.ts';
import { COMMAND_LIMITS } from './commands.ts';
import type { CertificateRecord, NodeCertificate, NodeRecord, OperationRecord, RefusalCode } from './records.ts';
import type { Tables } from './tables.ts';

/** A change the state does not allow; caught by `ClusterState.apply` and turned into a result. */
export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Where in the log, and when, a change happens. */
export interface Moment {
  readonly index: number;
  readonly at: number;
}

/** Ended operations the journal keeps; the oldest go first. */
const ENDED_OPERATIONS_KEPT = 1_000;

type Handlers = { readonly [T in Change['type']]: (tables: Tables, moment: Moment, change: Extract<Change, { type: T }>) => void };

/** Carries out `change`, or throws {@link Refusal}; the caller undoes what was begun. */
export function applyChange(tables: Tables, moment: Moment, change: Change): void {
  const handler = HANDLERS[change.type] as ((tables: Tables, moment: Moment, change: Change) => void) | undefined;
  if (handler === undefined) throw new Refusal('bad_request', `there is no change called ${String(change.type)}`);
  handler(tables, moment, change);
}

const HANDLERS: Handlers = {
  'cluster.init': (tables, { at }, { clusterId, name }) => {
    if (tables.cluster !== null) throw new Refusal('refused', `the cluster is already ${tables.cluster.name} (${tables.cluster.id})`);
    tables.set('cluster', { id: clusterId, name, createdAt: at, level: 1 });
  },
  'cluster.level': (tables, _moment, { level }) => {
    if (tables.cluster === null) throw new Refusal('refused', 'the cluster is not initialised');
    tables.set('cluster', { ...tables.cluster, level: Math.max(level, tables.cluster.level) });
  },
  'node.add': addNode,
  'node.facts': (tables, { index }, { node, facts }) => {
    putNode(tables, nodeRecord({ ...nodeOf(tables, node), ...facts, revision: index }));
  },
  'node.label': labelNode,
  'node.availability': (tables, { index }, { node, availability }) => putNode(tables, { ...nodeOf(tables, node), availability, revision: index }),
  'node.role': (tables, { index }, { node, role, ifRevision }) => {
    const before = nodeOf(tables, node);
    expectRevision(`node ${node}`, before.revision, ifRevision);
    putNode(tables, { ...before, role, revision: index });
  },
  'node.certificate': (tables, { index, at }, { node, certificate }) => {
    const before = nodeOf(tables, node);
    putNode(tables, { ...before, certificate: nodeCertificate(certificate), revision: index });
    recordCertificate(tables, at, before, certificate);
  },
  'node.remove': removeNode,
  'token.rotate': (tables, { index, at }, { role, secret }) => {
    const version = (tables.tokens.get(role)?.version ?? 0) + 1;
    tables.put(tables.tokens, role, { role, secret, version, rotatedAt: at, revision: index });
  },
  'certificate.issued': (tables, _moment, { certificate }) => {
    const { serial, name, role, fingerprint, issuedAt, notAfter } = certificate;
    const revokedAt = tables.certificates.get(serial)?.revokedAt ?? null;
    tables.put(tables.certificates, serial, { serial, name, role, fingerprint, issuedAt, notAfter, revokedAt });
  },
  'certificate.revoke': (tables, { at }, { serial, notAfter }) => revoke(tables, at, serial, notAfter),
  'certificate.prune': (tables, { at }) => {
    for (const { serial, notAfter } of [...tables.certificates.values()]) if (notAfter < at) tables.drop(tables.certificates, serial);
  },
  'authority.set': (tables, { index, at }, { authority, ifRevision }) => {
    expectRevision('the authority', tables.authority?.revision ?? 0, ifRevision);
    const { generation, phase, roots, key } = authority;
    tables.set('authority', { generation, phase, roots: [...roots], key, changedAt: at, revision: index });
  },
  'operation.intend': intendOperation,
  'operation.end': endOperation,
  'swarm.set': (tables, { index, at }, { swarm }) => {
    const { swarmId, workerToken, managerToken, unlockKey } = swarm;
    tables.set('swarm', { swarmId, workerToken, managerToken, unlockKey, changedAt: at, revision: index });
  },
  'setting.set': (tables, { index }, { key, value, ifRevision }) => {
    expectRevision(`setting ${key}`, tables.settings.get(key)?.revision ?? 0, ifRevision);
    if (key.length > COMMAND_LIMITS.key || value.length > COMMAND_LIMITS.settingValue) throw new Refusal('bad_request', `setting ${key.slice(0, 40)} is too long`);
    tables.put(tables.settings, key, { key, value, revision: index });
  },
  'setting.remove': (tables, _moment, { key, ifRevision }) => {
    expectRevision(`setting ${key}`, tables.settings.get(key)?.revision ?? 0, ifRevision);
    tables.drop(tables.settings, key);
  },
  all: (tables, moment, { changes }) => {
    if (changes.length > COMMAND_LIMITS.changes) throw new Refusal('bad_request', `${changes.length} changes at once are more than the ${COMMAND_LIMITS.changes} allowed`);
    for (const change of changes) {
      if (change.type === 'all') throw new Refusal('bad_request', 'a group of changes cannot contain another');
      applyChange(tables, moment, change);
    }
  },
};

function addNode(tables: Tables, { index, at }: Moment, { node }: { node: NewNode }): void {
  const namesake = tables.nodeIds.get(node.name);
  if (namesake !== undefined && namesake !== node.id) throw new Refusal('refused', `the name ${node.name} belongs to node ${namesake}`);
  const before = tables.nodes.get(node.id);
  if (before !== undefined && before.name !== node.name) tables.drop(tables.nodeIds, before.name);
  putNode(tables, nodeRecord({
    ...node,
    labels: before?.labels ?? {},
    availability: before?.availability ?? 'active',
    joinedAt: before?.joinedAt ?? at,
    revision: index,
  }));
  tables.put(tables.nodeIds, node.name, node.id);
  if (node.certificate !== null) recordCertificate(tables, at, node, node.certificate);
}

function labelNode(tables: Tables, { index }: Moment, change: Extract<Change, { type: 'node.label' }>): void {
  const before = nodeOf(tables, change.node);
  expectRevision(`node ${change.node}`, before.revision, change.ifRevision);
  const labels = new Map(Object.entries(before.labels));
  for (const key of change.remove) labels.delete(key);
  for (const [key, value] of Object.entries(change.set)) {
    if (key.length === 0 || key.length > COMMAND_LIMITS.key || value.length > COMMAND_LIMITS.labelValue) throw new Refusal('bad_request', `label ${key.slice(0, 40)} is empty or too long`);
    labels.set(key, value);
  }
  if (labels.size > COMMAND_LIMITS.labelsPerNode) throw new Refusal('bad_request', `node ${change.node} would have ${labels.size} labels, ${COMMAND_LIMITS.labelsPerNode} are allowed`);
  putNode(tables, { ...before, labels: sorted(labels), revision: index });
}

function removeNode(tables: Tables, { at }: Moment, { node }: { node: string }): void {
  const before = nodeOf(tables, node);
  tables.drop(tables.nodes, before.id);
  tables.drop(tables.nodeIds, before.name);
  for (const certificate of [...tables.certificates.values()]) {
    if (certificate.name === before.id && certificate.revokedAt === null && certificate.notAfter > at) revoke(tables, at, certificate.serial, certificate.notAfter);
  }
}

function intendOperation(tables: Tables, { index, at }: Moment, change: Extract<Change, { type: 'operation.intend' }>): void {
  const { operation: id, kind, subject, detail } = change;
  if (tables.operations.has(id)) throw new Refusal('refused', `operation ${id} is already in the journal`);
  putOperation(tables, { id, kind, subject, state: 'intended', detail, intendedAt: at, endedAt: null, revision: index });
}

function endOperation(tables: Tables, { index, at }: Moment, { operation, state, detail }: Extract<Change, { type: 'operation.end' }>): void {
  const before = tables.operations.get(operation);
  if (before === undefined) throw new Refusal('refused', `operation ${operation} is not in the journal`);
  if (before.state !== 'intended') throw new Refusal('refused', `operation ${operation} has already ended: ${before.state}`);
  putOperation(tables, { ...before, state, detail, endedAt: at, revision: index });
  const ended = [...tables.operations.values()].filter((record) => record.state !== 'intended');
  if (ended.length <= ENDED_OPERATIONS_KEPT) return;
  const oldest = ended.reduce((a, b) => (a.revision <= b.revision ? a : b));
  tables.drop(tables.operations, oldest.id);
}

function putOperation(tables: Tables, record: OperationRecord): void {
  if (record.detail.length > COMMAND_LIMITS.operationDetail) throw new Refusal('bad_request', `the detail of operation ${record.id} is too long`);
  tables.put(tables.operations, record.id, record);
}

function recordCertificate(tables: Tables, at: number, { id: name, role }: Pick<NodeRecord, 'id' | 'role'>, certificate: NodeCertificate): void {
  const { serial, fingerprint, notAfter } = certificate;
  const before = tables.certificates.get(serial);
  const record: CertificateRecord = { serial, name, role, fingerprint, issuedAt: before?.issuedAt ?? at, notAfter, revokedAt: before?.revokedAt ?? null };
  tables.put(tables.certificates, serial, record);
}

function revoke(tables: Tables, at: number, serial: string, notAfter: number): void {
  const before = tables.certificates.get(serial) ?? { serial, name: null, role: null, fingerprint: null, issuedAt: null, notAfter, revokedAt: null };
  tables.put(tables.certificates, serial, { ...before, revokedAt: before.revokedAt ?? at });
}

function nodeOf(tables: Tables, id: string): NodeRecord {
  const node = tables.nodes.get(id);
  if (node === undefined) throw new Refusal('unknown_machine', `no node of the cluster has the id ${id}`);
  return node;
}

function putNode(tables: Tables, node: NodeRecord): void {
  tables.put(tables.nodes, node.id, node);
}

/** The record with its fields in their order and nothing besides, whatever order a command brought them in. */
function nodeRecord(node: NodeRecord): NodeRecord {
  return {
    id: node.id, name: node.name, role: node.role, availability: node.availability, address: node.address,
    publicIpv4: node.publicIpv4, privateIpv4: node.privateIpv4, driver: node.driver, datacenter: node.datacenter, region: node.region, size: node.size,
    labels: node.labels, engine: node.engine, dockerId: node.dockerId, agentVersion: node.agentVersion,
    certificate: node.certificate === null ? null : nodeCertificate(node.certificate), joinedAt: node.joinedAt, revision: node.revision,
  };
}

function nodeCertificate({ serial, fingerprint, notAfter }: NodeCertificate): NodeCertificate {
  return { serial, fingerprint, notAfter };
}

function sorted(labels: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function expectRevision(what: string, actual: number, expected: number | undefined): void {
  if (expected !== undefined && expected !== actual) throw new Refusal('refused', `${what} has changed since: it is at revision ${actual}, not ${expected}`);
}
