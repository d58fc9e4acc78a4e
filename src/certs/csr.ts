/**
 * Certificate requests (PKCS #10, RFC 2986). A request proves that its sender holds a key, and that is all it is read for: the subject and
 * extensions it asks for are not looked at, since the one who signs says who the sender is.
 */
import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { BeltError } from '../errors.ts';
import { bits, child, content, decode, encode, fromPem, integer, oid, oidOf, sequence, tagged, toPem } from './der.ts';
import { isP256, name } from './x509.ts';

/** Largest request that is looked at, bytes of PEM. */
export const CSR_BYTES_MAX = 4096;

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';

/** A new P-256 key pair; the private key as PKCS #8 PEM. */
export function newKey(): { key: KeyObject; pem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { key: privateKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}

/** A request for `key` (P-256 private key), PEM; `label` stands in its subject for people who look at it. */
export function createCsr(key: KeyObject, label: string): string {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const body = sequence(integer(Buffer.from([0])), name({ organization: 'belt', unit: 'request', commonName: label }), spki, tagged(0, []));
  return toPem(sequence(body, sequence(oid(ECDSA_WITH_SHA256)), bits(sign('sha256', body, key))), 'CERTIFICATE REQUEST');
}

/** The public key (SubjectPublicKeyInfo, DER) of a request whose own signature holds. Throws `certificate` otherwise, or for another kind of key than P-256. */
export function keyOfCsr(pem: string): Buffer {
  const der = pem.length > CSR_BYTES_MAX ? null : fromPem(pem, '(?:NEW )?CERTIFICATE REQUEST');
  if (der === null) throw refuse('it is not a certificate request');
  try {
    const tree = decode(der);
    const body = child(tree, 0);
    const publicKey = encode(child(body, 2));
    if (!isP256(publicKey)) throw refuse('its key is not a P-256 key');
    if (oidOf(child(child(tree, 1), 0)) !== ECDSA_WITH_SHA256) throw refuse('it is not signed with ECDSA and SHA-256');
    const signature = content(child(tree, 2)).subarray(1);
    if (!verify('sha256', encode(body), createPublicKey({ key: publicKey, format: 'der', type: 'spki' }), signature)) throw refuse('its signature does not hold');
    return publicKey;
  } catch (error) {
    if (error instanceof BeltError) throw error;
    throw refuse('it is malformed', error);
  }
}

function refuse(why: string, cause?: unknown): BeltError {
  return new BeltError('certificate', `the certificate request is refused: ${why}`, { cause });
}
