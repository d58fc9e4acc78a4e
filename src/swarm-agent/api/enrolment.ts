/** How nodes get in and stay in: the join, the renewal of certificates, the keys of a manager and its entry into Raft. */
import { X509Certificate } from 'node:crypto';

import { loadAuthority, type Authority } from '../../certs/authority.ts';
import { keyOfCsr } from '../../certs/csr.ts';
import { factsOf, signedByOne, verifyCertificate } from '../../certs/identity.ts';
import { caDigest, formatToken, parseToken, sameSecret } from '../../certs/join-token.ts';
import { BeltError } from '../../errors.ts';
import { issue, nodeIdOf, type Issued } from '../identity/certificates.ts';
import type { Clock } from '../ports.ts';
import type { Change, NewNode } from '../store/commands.ts';
import type { AuthorityRecord, NodeRecord, NodeRole } from '../store/records.ts';
import type { Sealer } from '../store/sealer.ts';
import type { CallerIdentity } from './authorize.ts';
import { splitAddress } from './client.ts';
import type { Write } from './cluster-calls.ts';
import type { Group } from './group.ts';
import type { Joined, JoinRequest, Membership } from './shapes.ts';
import type { PendingCertificates } from './pending.ts';

/** What the sealed secrets of the state are bound to. */
export const AUTHORITY_PURPOSE = 'authority';
export const tokenPurpose = (role: NodeRole): string => `token/${role}`;

export interface EnrolmentOptions {
  readonly clock: Clock;
  readonly group: Group;
  readonly sealer: Sealer;
  readonly membershipOf: (id: string) => Membership | null;
  readonly statusOf: (id: string) => 'ready' | 'down' | 'unknown';
  /** How long certificates of nodes live, ms. */
  readonly lifetimeMs: () => number;
  readonly pending: PendingCertificates;
}

export class Enrolment {
  readonly #options: EnrolmentOptions;
  #ca: { readonly revision: number; readonly authority: Authority } | null = null;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
  }

  /** The answer to a join token: a role certificate, and the node in the state. A repeat with the same key and nonce is the same node. Leader only. */
  async join(request: JoinRequest, write: Write): Promise<Joined> {
    const { group } = this.#options;
    await group.read();
    const role = this.#roleOf(request.token);
    const cluster = this.#clusterId();
    const key = this.#vouchedKey(request);
    const id = nodeIdOf(cluster, key, request.nonce);
    const before = group.state.tables.nodes.get(id);
    const issued = this.#sign(key, before?.role ?? role, id, request.name, request.address);
    if (before === undefined) {
      const changes: Change[] = [...this.#replaced(request.name), { type: 'node.add', node: newNode(id, role, request, issued) }];
      await group.write(write.request, { type: 'all', changes }, write.first);
    } else await group.write(write.request, { type: 'node.certificate', node: id, certificate: recordOf(issued) }, write.first);
    return { id, already: before !== undefined, certificate: issued.pem, membership: this.#membership(id) };
  }

  /** A new certificate for the caller, of the role it shall have. Needs the keys and the state, no quorum. */
  renew(csr: string, caller: CallerIdentity): { certificate: string; membership: Membership } {
    const { group, pending } = this.#options;
    const key = keyOfCsr(csr);
    const node = group.state.tables.nodes.get(caller.name);
    if (node === undefined) throw new BeltError('certificate', `node ${caller.name} is not known here`, { retryable: true });
    const issued = this.#sign(key, node.role, node.id, node.name, node.address);
    pending.add(issued.pem);
    return { certificate: issued.pem, membership: this.#membership(node.id) };
  }

  /** Writes down what {@link renew} of any manager has signed; of a node that was removed meanwhile it is revoked with that. Leader only. */
  async issued(certificate: string, write: Write): Promise<{ changed: boolean }> {
    const { group } = this.#options;
    await group.read();
    const x509 = new X509Certificate(certificate);
    const { serial, fingerprint, role, name, notAfter } = factsOf(x509);
    const known = group.state.tables.certificates.has(serial);
    if (known || (role !== 'manager' && role !== 'worker') || !signedByOne(x509, this.#authority().roots)) return { changed: false };
    const node = group.state.tables.nodes.get(name);
    const listed: Change = { type: 'certificate.issued', certificate: { serial, name, role, fingerprint, issuedAt: x509.validFromDate.getTime(), notAfter } };
    // Signed just before a new root or another role took over: worth listing, but the node still has to come for the one it shall have.
    const current = node?.role === role && signedByOne(x509, this.#authority().roots.slice(0, 1));
    const change: Change = node === undefined ? { type: 'all', changes: [listed, { type: 'certificate.revoke', serial, notAfter }] }
      : current ? { type: 'node.certificate', node: node.id, certificate: { serial, fingerprint, notAfter } } : listed;
    await group.write(write.request, change, write.first);
    return { changed: true };
  }

  /** One step of a manager's way into Raft; the reconciler does the next when it has caught up. Leader only. */
  async enter(address: string, caller: CallerIdentity): Promise<{ voter: boolean; epoch: number }> {
    const { group } = this.#options;
    await group.read();
    const node = group.state.tables.nodes.get(caller.name);
    if (node?.role !== 'manager') throw new BeltError('forbidden', `node ${caller.name} shall not be a manager`, { next: 'belt swarm promote' });
    const member = group.status().membership.members.find(({ id }) => id === caller.name);
    if (member === undefined) await group.change({ kind: 'add', id: caller.name, address });
    else if (member.address !== address) await group.change({ kind: 'address', id: caller.name, address });
    return { voter: member?.voter ?? false, epoch: group.epoch };
  }

  /** The join token of a role, for the root that signs now. */
  token(role: NodeRole): string {
    const record = this.#options.group.state.tables.tokens.get(role);
    if (record === undefined) throw new BeltError('failed', `the cluster has no ${role} token`, { next: `belt swarm token ${role} --rotate` });
    return formatToken({ caDigest: caDigest(this.#authority().roots[0]!), secret: this.#options.sealer.open(tokenPurpose(role), record.secret) });
  }

  /** The old certificates of a manager that is a worker now, once it has shown its new one. */
  async forgetManagerCertificates(id: string, request: string): Promise<void> {
    const { group, clock } = this.#options;
    const { nodes, certificates } = group.state.tables;
    if (nodes.get(id)?.role !== 'worker') return;
    const old = [...certificates.values()].filter((one) => one.name === id && one.role === 'manager' && one.revokedAt === null && one.notAfter > clock.now());
    if (old.length > 0) await group.write(request, { type: 'all', changes: old.map(({ serial, notAfter }) => ({ type: 'certificate.revoke', serial, notAfter })) });
  }

  #roleOf(token: string): NodeRole {
    const { caDigest: digest, secret } = parseToken(token);
    const refuse = (why: string): BeltError => new BeltError('bad_token', why, { next: 'belt swarm token worker (or manager) shows the one in force' });
    if (digest !== caDigest(this.#authority().roots[0]!)) throw refuse('the join token is of another cluster, or of the CA before its rotation');
    let role: NodeRole | null = null;
    for (const record of this.#options.group.state.tables.tokens.values()) if (sameSecret(secret, this.#options.sealer.open(tokenPurpose(record.role), record.secret))) role = record.role;
    if (role === null) throw refuse('the join token is wrong or was rotated');
    return role;
  }

  /**
   * The joiner's key. A token says that a machine may join, not which one it is: name and address stand in its new certificate, so they must
   * be those that the operator gave this key at bootstrap. Throws `certificate`.
   */
  #vouchedKey({ csr, machine, name, address }: JoinRequest): Buffer {
    const key = keyOfCsr(csr);
    const x509 = readCertificate(machine);
    verifyCertificate(x509, { cluster: this.#clusterId(), roots: this.#authority().roots, roles: ['machine'], name, nowMs: this.#options.clock.now() });
    const refuse = (why: string): BeltError => new BeltError('certificate', `${name} ${why}`, { machine: name, next: `belt certs renew ${name}` });
    if (!key.equals(x509.publicKey.export({ type: 'spki', format: 'der' }))) throw refuse('joins with another key than its certificate’s');
    const [host] = splitAddress(address);
    if (x509.checkIP(host) === undefined && x509.checkHost(host, { subject: 'never' }) === undefined) throw refuse(`joins from ${host}, which is not in the certificate that bootstrap gave it`);
    return key;
  }

  /** Of a machine that was made anew under its old name: the dead node gives way. A living one, or a manager that counts, does not. */
  #replaced(name: string): Change[] {
    const { group, statusOf } = this.#options;
    const namesake = group.state.node(name);
    if (namesake === undefined) return [];
    const inRaft = group.status().membership.members.some(({ id }) => id === namesake.id);
    if (!inRaft && statusOf(namesake.id) === 'down') return [{ type: 'node.remove', node: namesake.id }];
    throw new BeltError('refused', `${name} is already a node of this cluster (${namesake.id}), ${inRaft ? 'and a manager that counts' : 'and not known to be down'}`, {
      machine: name, next: `belt swarm leave ${name} --force, then join again`,
    });
  }

  #sign(publicKey: Buffer, role: NodeRole, id: string, name: string, address: string): Issued {
    const { clock, lifetimeMs } = this.#options;
    return issue({ ca: this.#signer(), publicKey, cluster: this.#clusterId(), role, name: id, hosts: [name, splitAddress(address)[0]], now: clock.now(), lifetimeMs: lifetimeMs() });
  }

  /** The CA that signs now; its key is opened and parsed once for each change. */
  #signer(): Authority {
    const { revision, roots, key } = this.#authority();
    if (this.#ca?.revision !== revision) this.#ca = { revision, authority: loadAuthority(roots[0]!, this.#options.sealer.open(AUTHORITY_PURPOSE, key)) };
    return this.#ca.authority;
  }

  #authority(): AuthorityRecord {
    const { authority } = this.#options.group.state.tables;
    if (authority === null) throw new BeltError('no_quorum', 'this manager has not caught up yet', { retryable: true });
    return authority;
  }

  #clusterId(): string {
    return this.#options.group.state.tables.cluster?.id ?? '';
  }

  #membership(id: string): Membership {
    const membership = this.#options.membershipOf(id);
    if (membership === null) throw new BeltError('certificate', `node ${id} is not known here`, { retryable: true });
    return membership;
  }
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new BeltError('bad_request', 'the joiner sent no certificate that can be read', { cause: error });
  }
}

function newNode(id: string, role: NodeRole, request: JoinRequest, issued: Issued): NewNode {
  const { name, address, publicIpv4, privateIpv4, driver, datacenter, region, size, engine, agentVersion } = request;
  return { id, name, role, address, publicIpv4, privateIpv4, driver, datacenter, region, size, engine, dockerId: null, agentVersion, certificate: recordOf(issued) };
}

function recordOf({ serial, fingerprint, notAfter }: Issued): NonNullable<NodeRecord['certificate']> {
  return { serial, fingerprint, notAfter };
}
