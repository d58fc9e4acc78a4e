/**
 * The cluster's certificate authority: made by `cluster new`, kept under `.belt/<cluster>/` (encrypted when a passphrase is given), handed to
 * managers inside a verified conversation. It signs what its caller says about the key of a request.
 */
import { createHash, createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { BeltError } from '../errors.ts';
import { keyOfCsr, newKey } from './csr.ts';
import { AUTHORITY_LIFETIME_MS, BACKDATE_MS, identityUri, LIFETIME_MS, type Identity } from './profiles.ts';
import { keyId, signCertificate, type Subject } from './x509.ts';

/** A CA that can sign. `certificate` is PEM; `key` never leaves the process but through {@link exportKey}. */
export interface Authority {
  readonly cluster: string;
  readonly certificate: string;
  readonly key: KeyObject;
  readonly keyId: Buffer;
  readonly subject: Subject;
}

/** A signed certificate with what is recorded of it. */
export interface Issued {
  readonly certificate: string;
  /** Lower-case hex. */
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  /** ms since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A new CA for the cluster (id: 32 hex digits). `generation` counts rotations from 1. */
export function createAuthority(cluster: string, nowMs: number, generation = 1): Authority {
  const { key } = newKey();
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const subject: Subject = { organization: cluster, unit: 'ca', commonName: `belt CA ${generation}` };
  const { pem: certificate } = signCertificate(
    { subject, issuer: subject, publicKey, issuerKeyId: null, notBefore: nowMs - BACKDATE_MS, notAfter: nowMs + AUTHORITY_LIFETIME_MS, caPathLength: 0, usages: [], uris: [], hosts: [] },
    key,
  );
  return { cluster, certificate, key, keyId: keyId(publicKey), subject };
}

/** The CA of `certificate` and `keyPem`. Throws `certificate` where they do not belong together, or the passphrase is missing or wrong. */
export function loadAuthority(certificate: string, keyPem: string, passphrase?: string): Authority {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: keyPem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (error) {
    const encrypted = keyPem.includes('ENCRYPTED');
    const why = encrypted ? (passphrase === undefined ? 'it is encrypted and no passphrase was given' : 'the passphrase is wrong') : 'it is damaged';
    throw new BeltError('certificate', `the key of the CA cannot be read: ${why}`, { cause: error, next: encrypted ? 'give the passphrase in BELT_CA_PASSPHRASE' : undefined });
  }
  const x509 = readPem(certificate);
  if (!x509.ca || !x509.checkPrivateKey(key)) throw new BeltError('certificate', 'the certificate and the key of the CA do not belong together');
  const subject = subjectOf(x509);
  return { cluster: subject.organization, certificate, key, keyId: keyId(x509.publicKey.export({ type: 'spki', format: 'der' })), subject };
}

/** The CA's key as PKCS #8 PEM, encrypted with scrypt and AES-256 where a passphrase is given. */
export function exportKey(authority: Authority, passphrase?: string): string {
  const cipher = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return authority.key.export({ type: 'pkcs8', format: 'pem', ...cipher } as { type: 'pkcs8'; format: 'pem' }) as string;
}

export interface SignOptions {
  /** Addresses and names under which docker clients dial; they carry no identity. */
  readonly hosts?: readonly string[];
  readonly nowMs: number;
  /** Default: the role's own lifetime. */
  readonly lifetimeMs?: number;
}

/** Signs the key of a request for `identity`. Throws `certificate` for a request that does not prove its key. */
export function signCsr(authority: Authority, csrPem: string, identity: Identity, options: SignOptions): Issued {
  return signKey(authority, keyOfCsr(csrPem), identity, options);
}

/** Signs a public key (SubjectPublicKeyInfo, DER) that its holder has proved, or that was made here. */
export function signKey(authority: Authority, publicKey: Buffer, identity: Identity, options: SignOptions): Issued {
  if (identity.cluster !== authority.cluster) throw new Error('a CA signs for its own cluster only');
  const lifetimeMs = options.lifetimeMs ?? LIFETIME_MS[identity.role];
  // A certificate of seconds, as tests use, is backdated by its own length at most, so that its half-life means something.
  const notBefore = seconds(options.nowMs - Math.min(BACKDATE_MS, lifetimeMs));
  const notAfter = seconds(options.nowMs + lifetimeMs);
  const { pem, der, serial } = signCertificate(
    {
      subject: { organization: identity.cluster, unit: identity.role, commonName: identity.name },
      issuer: authority.subject,
      publicKey,
      issuerKeyId: authority.keyId,
      notBefore,
      notAfter,
      caPathLength: null,
      usages: identity.role === 'operator' ? ['clientAuth'] : ['serverAuth', 'clientAuth'],
      uris: [identityUri(identity)],
      hosts: options.hosts ?? [],
    },
    authority.key,
  );
  return { certificate: pem, serial, fingerprint: createHash('sha256').update(der).digest('hex'), notBefore, notAfter };
}

const seconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

/** SHA-256 of a certificate's DER, lower-case hex. */
export function fingerprintOf(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex');
}

/** The certificate of PEM text; throws `certificate` where it is none. */
export function readPem(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new BeltError('certificate', 'a certificate cannot be read', { cause: error });
  }
}

function subjectOf(x509: X509Certificate): Subject {
  const read = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(x509.subject)?.[1] ?? '';
  return { organization: read('O'), unit: read('OU'), commonName: read('CN') };
}
