/** What the agent asks of `src/certs`, in the shapes it needs. */
import { createHash, createPrivateKey } from 'node:crypto';

import { signKey, type Authority } from '../../certs/authority.ts';
import { createCsr } from '../../certs/csr.ts';
import type { Role } from '../../certs/profiles.ts';

/** A request for the agent's key (PKCS #8 PEM). */
export function makeCsr(keyPem: string, label: string): string {
  return createCsr(createPrivateKey(keyPem), label);
}

/** The id of the node with that key (SubjectPublicKeyInfo, DER): another nonce, another node. */
export function nodeIdOf(cluster: string, publicKey: Buffer, nonce: string): string {
  const digest = createHash('sha256').update(publicKey).digest('hex');
  return createHash('sha256').update(`${cluster}/${digest}/${nonce}`).digest('hex').slice(0, 32);
}

export interface IssueOptions {
  readonly ca: Authority;
  /** SubjectPublicKeyInfo, DER, of a key that its holder has proved. */
  readonly publicKey: Buffer;
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

/** Signs a key. */
export function issue({ ca, publicKey, cluster, role, name, hosts, now, lifetimeMs }: IssueOptions): Issued {
  const { certificate, serial, fingerprint, notAfter } = signKey(ca, publicKey, { cluster, role, name }, { hosts, nowMs: now, lifetimeMs });
  return { pem: certificate, serial, fingerprint, notAfter };
}
