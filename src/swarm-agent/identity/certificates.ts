/** What the agent asks of `src/certs`, in the shapes it needs. */
import { createHash, createPrivateKey } from 'node:crypto';

import { signCsr, type Authority } from '../../certs/authority.ts';
import { createCsr, keyOfCsr } from '../../certs/csr.ts';
import type { Role } from '../../certs/profiles.ts';

/** A request for the agent's key (PKCS #8 PEM). */
export function makeCsr(keyPem: string, label: string): string {
  return createCsr(createPrivateKey(keyPem), label);
}

/** SHA-256 of the public key of a request whose signature holds, lower-case hex. Throws `BeltError('certificate')`. */
export function checkCsr(csr: string): string {
  return createHash('sha256').update(keyOfCsr(csr)).digest('hex');
}

/** The id of the node with that key: another nonce, another node. */
export function nodeIdOf(cluster: string, keyDigest: string, nonce: string): string {
  return createHash('sha256').update(`${cluster}/${keyDigest}/${nonce}`).digest('hex').slice(0, 32);
}

export interface IssueOptions {
  readonly ca: Authority;
  readonly csr: string;
  readonly cluster: string;
  readonly role: Role;
  readonly name: string;
  readonly hosts: readonly string[];
  /** ms since 1970. */
  readonly now: number;
  readonly lifetimeMs: number;
}

export interface Issued {
  readonly pem: string;
  readonly serial: string;
  readonly fingerprint: string;
  /** ms since 1970. */
  readonly notAfter: number;
}

/** Signs the key of a request. Throws `BeltError('certificate')` for a bad request. */
export function issue({ ca, csr, cluster, role, name, hosts, now, lifetimeMs }: IssueOptions): Issued {
  const { certificate, serial, fingerprint, notAfter } = signCsr(ca, csr, { cluster, role, name }, { hosts, nowMs: now, lifetimeMs });
  return { pem: certificate, serial, fingerprint, notAfter };
}
