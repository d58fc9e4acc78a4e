/** Who stands at the other end of a TLS connection, and what a connection of ours shows. Reading a certificate is `src/certs`' work and comes in as a function. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { BeltError } from '../../errors.ts';

/** The roles a certificate of a cluster can carry (docs/architecture.md, "Identity in certificates"). */
export type PeerRole = 'operator' | 'manager' | 'worker' | 'machine';

/** What the URI `belt://<cluster>/<role>/<name>` of a checked certificate says. */
export interface PeerIdentity {
  readonly cluster: string;
  readonly role: PeerRole;
  /** Node id, machine name or operator name. */
  readonly name: string;
  /** The certificate's serial number, lower-case hex. */
  readonly serial: string;
}

/** Reads an authorized certificate and judges what TLS does not: cluster, role, revocation. Throws `BeltError('certificate')`. */
export type Identify = (certificate: X509Certificate) => PeerIdentity;

/** PEM texts of one end. `ca` holds every root that counts now: two while the CA is being rotated. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
  readonly ca: readonly string[];
}

/**
 * The identity of the other end after the handshake. The validity dates are checked here once more: a resumed TLS session carries the
 * verdict of its first handshake, and the certificate may have run out since. Throws `BeltError('certificate')`.
 */
export function peerOf(socket: TLSSocket, identify: Identify, now = Date.now()): PeerIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new BeltError('certificate', 'the other side showed no certificate');
  if (!socket.authorized) throw new BeltError('certificate', `the other side's certificate is not acceptable: ${String(socket.authorizationError)}`);
  if (certificate.validToDate.getTime() < now) throw new BeltError('certificate', `the other side's certificate ran out on ${certificate.validTo}`);
  return identify(certificate);
}
