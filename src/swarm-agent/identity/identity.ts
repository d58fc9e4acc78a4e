/** Who this agent is: its key and certificate, the roots it trusts, the serials it refuses, and what it last knew of the cluster. */
import { X509Certificate } from 'node:crypto';

import { factsOf, splitPem } from '../../certs/identity.ts';
import { BeltError } from '../../errors.ts';
import type { ManagerAddress, Membership } from '../api/shapes.ts';
import { digestOf } from '../session/digest.ts';
import type { Credentials, PeerIdentity, PeerRole } from '../transport/identity.ts';
import type { AgentConfig } from './config.ts';
import { AgentFiles, readText, writeText, type NodeFile } from './files.ts';

/** The certificate in use, read once. */
export interface OwnCertificate {
  readonly pem: string;
  readonly role: PeerRole;
  /** Node id, or the machine's name before it is a node. */
  readonly name: string;
  readonly serial: string;
  /** ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export class Identity {
  readonly files: AgentFiles;
  #config: AgentConfig;
  readonly #changed: Array<(what: 'credentials' | 'revoked') => void> = [];
  #key: string;
  #certificate: OwnCertificate;
  #roots: readonly string[];
  #revoked: ReadonlySet<string>;
  #node: NodeFile | null;

  /** Reads everything. Throws `BeltError`: `no_agent`, `config`, `state_damaged`, `certificate`. */
  constructor(files: AgentFiles) {
    this.files = files;
    this.#config = files.config();
    const { key, cert, roots } = files.credentials();
    this.#key = key;
    this.#certificate = this.#read(cert);
    this.#roots = splitPem(roots);
    this.#revoked = new Set(files.revoked());
    this.#node = files.node();
  }

  get config(): AgentConfig {
    return this.#config;
  }
  get key(): string {
    return this.#key;
  }
  get certificate(): OwnCertificate {
    return this.#certificate;
  }
  get roots(): readonly string[] {
    return this.#roots;
  }
  get node(): NodeFile | null {
    return this.#node;
  }
  get managers(): readonly ManagerAddress[] {
    return this.#node?.membership.managers ?? [];
  }
  get role(): 'machine' | 'worker' | 'manager' {
    const { role } = this.#certificate;
    return this.#node === null || role === 'operator' ? 'machine' : role;
  }
  get revoked(): ReadonlySet<string> {
    return this.#revoked;
  }

  /** What TLS shows and trusts; the roots follow the certificate, so that a joiner sees the one its token names. */
  credentials(): Credentials {
    return { key: this.#key, cert: [this.#certificate.pem.trim(), ...this.#roots.map((root) => root.trim())].join('\n'), ca: this.#roots };
  }

  /** Called after key, certificate or roots (`credentials`) or the revoked serials have changed. */
  onChange(handler: (what: 'credentials' | 'revoked') => void): void {
    this.#changed.push(handler);
  }

  /** Judges another's certificate beyond what TLS does. Throws `BeltError('certificate')`. */
  readonly identify = (certificate: X509Certificate): PeerIdentity => {
    const read = factsOf(certificate);
    if (read.cluster !== this.config.clusterId) throw new BeltError('certificate', `the certificate of ${read.role} ${read.name} is of another cluster (${read.cluster})`);
    if (this.#revoked.has(read.serial)) throw new BeltError('certificate', `the certificate ${read.serial} of ${read.role} ${read.name} is revoked`, { next: 'ask for a new one: belt certs renew, belt certs operator' });
    return { cluster: read.cluster, role: read.role, name: read.name, serial: read.serial };
  };

  /** Reads key, certificate and configuration anew: after bootstrap has brought others. */
  reload(): void {
    this.#config = this.files.config();
    const { key, cert, roots } = this.files.credentials();
    this.#certificate = this.#read(cert);
    this.#key = key;
    this.#roots = splitPem(roots);
    this.#tell('credentials');
  }

  /**
   * Takes a certificate for the key we hold, with what the cluster says of us. Durable when it returns. The certificate is written last, as it is
   * what makes the role: after a crash in between the old role stands, and whatever led here is done again.
   */
  become(certificate: string, membership: Membership): void {
    const read = this.#read(certificate);
    if (read.role !== 'manager' && read.role !== 'worker') throw new BeltError('certificate', `a ${read.role} certificate came where one of a node was due`);
    const { paths } = this.files;
    if (this.#certificate.role === 'machine') writeText(paths.machineCert, this.#certificate.pem);
    this.#saveNode({ version: 1, id: read.name, membership, generation: membership.generation }, true);
    writeText(paths.roots, membership.roots);
    this.#roots = splitPem(membership.roots);
    this.#takeRevoked(membership.revoked);
    writeText(paths.cert, certificate);
    this.#certificate = read;
    this.files.remove(paths.join);
    this.#tell('credentials');
  }

  /** Takes news of the cluster unless older than what is known. True when something changed. */
  learn(membership: Membership): boolean {
    const node = this.#node;
    if (node === null || membership.epoch < node.membership.epoch) return false;
    if (membership.epoch === node.membership.epoch && membership.version < node.membership.version) return false;
    const same = digestOf(membership) === digestOf(node.membership) && membership.role === node.membership.role && membership.generation === node.membership.generation;
    if (same) {
      this.#node = { ...node, membership };
      return false;
    }
    this.#saveNode({ ...node, membership }, false);
    if (membership.roots !== node.membership.roots) {
      writeText(this.files.paths.roots, membership.roots);
      this.#roots = splitPem(membership.roots);
      this.#tell('credentials');
    }
    if (this.#takeRevoked(membership.revoked)) this.#tell('revoked');
    return true;
  }

  /** Trusts these roots (PEM) from now on. */
  trust(roots: readonly string[]): void {
    writeText(this.files.paths.roots, roots.join(''));
    this.#roots = roots;
    this.#tell('credentials');
  }

  /** Forgets the membership; the certificate of bootstrap counts again. */
  leave(): void {
    const { paths } = this.files;
    const machine = readText(paths.machineCert);
    if (machine === null) throw new BeltError('no_agent', `${paths.machineCert} is missing`, { next: `belt bootstrap ${this.config.machine}` });
    writeText(paths.cert, machine);
    for (const path of [paths.node, paths.join]) this.files.remove(path);
    this.#node = null;
    this.#certificate = this.#read(machine);
    this.#tell('credentials');
  }

  #read(pem: string): OwnCertificate {
    const x509 = new X509Certificate(pem);
    const { cluster, role, name, serial } = factsOf(x509);
    if (cluster !== this.config.clusterId) throw new BeltError('certificate', `the agent's certificate is of cluster ${cluster}, its configuration of ${this.config.clusterId}`);
    return { pem, role, name, serial, notBefore: x509.validFromDate.getTime(), notAfter: x509.validToDate.getTime() };
  }

  #saveNode(node: NodeFile, synced: boolean): void {
    this.files.saveNode(node, { synced });
    this.#node = node;
  }

  #takeRevoked(serials: readonly string[]): boolean {
    if (serials.length === this.#revoked.size && serials.every((serial) => this.#revoked.has(serial))) return false;
    this.files.saveRevoked(serials);
    this.#revoked = new Set(serials);
    return true;
  }

  #tell(what: 'credentials' | 'revoked'): void {
    for (const handler of this.#changed) handler(what);
  }
}
