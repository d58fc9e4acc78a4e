/** Reads who a certificate speaks for, and judges whether to believe it: TLS alone knows neither roles, nor names, nor revocation. */
import { createHash, X509Certificate } from 'node:crypto';
import { BeltError } from '../errors.ts';
import { fingerprintOf } from './authority.ts';
import { parseIdentityUri, type Identity, type Role } from './profiles.ts';

/** What a certificate says, and how it is named in lists. */
export interface CertificateFacts extends Identity {
  /** Lower-case hex. */
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The facts of a certificate. Throws `certificate` where it names nobody, or more than one, of a belt cluster. */
export function factsOf(certificate: X509Certificate): CertificateFacts {
  const uris = (certificate.subjectAltName ?? '').split(', ').filter((part) => part.startsWith('URI:'));
  if (uris.length !== 1) throw new BeltError('certificate', 'the certificate names nobody of a belt cluster');
  return {
    ...parseIdentityUri((uris[0] as string).slice('URI:'.length)),
    serial: certificate.serialNumber.toLowerCase(),
    fingerprint: fingerprintOf(certificate),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

export interface Expectation {
  readonly nowMs: number;
  /** CA certificates, PEM. */
  readonly roots: readonly string[];
  readonly cluster: string;
  /** Serials, lower-case hex. */
  readonly revoked?: ReadonlySet<string>;
  readonly roles?: readonly Role[];
  readonly name?: string;
  /** The operator's side only: a *server* certificate that has run out is believed when its key has this SHA-256 (hex), as it was pinned before. */
  readonly pinnedKey?: string;
}

/**
 * The facts of a certificate that meets the expectation. Throws `certificate` with the reason otherwise: another cluster's, not signed by a
 * root, expired, not yet valid, revoked, another role, another name. Order matters: the reason given is the one that helps most.
 */
export function verifyCertificate(certificate: X509Certificate, expected: Expectation): CertificateFacts {
  const facts = factsOf(certificate);
  const whose = `the certificate of ${facts.role} ${facts.name}`;
  if (facts.cluster !== expected.cluster) throw refuse(`${whose} is of another cluster (${facts.cluster.slice(0, 8)}…, not ${expected.cluster.slice(0, 8)}…)`);
  if (!signedByOne(certificate, expected.roots)) throw refuse(`${whose} is not signed by the cluster's CA`);
  if (expected.revoked?.has(facts.serial) === true) throw refuse(`${whose} is revoked`, 'ask for a new one (belt certs renew, belt certs operator)');
  const pinned = expected.pinnedKey !== undefined && keyDigest(certificate) === expected.pinnedKey;
  if (expected.nowMs >= facts.notAfter && !pinned) throw refuse(`${whose} has expired (${isoMinute(facts.notAfter)})`, 'belt certs renew RANGE gives machines a new one over SSH');
  if (expected.nowMs < facts.notBefore) throw refuse(`${whose} is not valid before ${isoMinute(facts.notBefore)}`, 'compare the clocks of both machines');
  if (expected.roles !== undefined && !expected.roles.includes(facts.role)) throw refuse(`${whose} is not one of a ${expected.roles.join(' or ')}`);
  if (expected.name !== undefined && facts.name !== expected.name) throw refuse(`${whose} is not the one of ${expected.name}`);
  return facts;
}

/** Whether one of the roots (PEM) signed the certificate. */
export function signedByOne(certificate: X509Certificate, roots: readonly string[]): boolean {
  return roots.some((pem) => {
    const root = new X509Certificate(pem);
    return root.ca && certificate.checkIssued(root) && certificate.verify(root.publicKey);
  });
}

/** SHA-256 of a certificate's public key, lower-case hex: what is pinned. */
export function keyDigest(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
}

/** The CA certificates of a PEM bundle, in order. */
export function splitPem(bundle: string): string[] {
  return (bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => `${pem}\n`);
}

const isoMinute = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

function refuse(why: string, next?: string): BeltError {
  return new BeltError('certificate', why, { next });
}
