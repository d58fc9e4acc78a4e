/**
 * X.509 v3 certificates (RFC 5280) with P-256 keys and ecdsa-with-SHA256: built as DER, signed by node:crypto. What stands in one is decided
 * by the caller, never by the request it answers.
 */
import { createHash, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import { assert } from '../errors.ts';
import { bits, boolean, integer, octets, oid, sequence, set, tagged, time, toPem, utf8, type Der } from './der.ts';

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** A distinguished name of the three attributes belt uses. */
export interface Subject {
  readonly organization: string;
  readonly unit: string;
  readonly commonName: string;
}

export interface CertificateFields {
  readonly subject: Subject;
  readonly issuer: Subject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
  /** Key id of the issuer's key; null for a self-signed one. */
  readonly issuerKeyId: Buffer | null;
  /** ms since 1970; cut to whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Null: an end entity. A number: a CA with that many CAs allowed below. */
  readonly caPathLength: number | null;
  /** What an end entity may be used for. */
  readonly usages: readonly ('serverAuth' | 'clientAuth')[];
  readonly uris: readonly string[];
  /** IP addresses and DNS names. */
  readonly hosts: readonly string[];
}

export interface SignedCertificate {
  readonly pem: string;
  readonly der: Buffer;
  /** Lower-case hex, 32 digits. */
  readonly serial: string;
}

/** The certificate, signed with `issuerKey` (P-256 private key). The serial number has 126 random bits (RFC 5280 wants it positive and at most 20 bytes). */
export function signCertificate(fields: CertificateFields, issuerKey: KeyObject): SignedCertificate {
  const serial = newSerial();
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const body = sequence(
    tagged(0, [integer(Buffer.from([2]))]),
    integer(serial),
    algorithm,
    name(fields.issuer),
    sequence(time(fields.notBefore), time(fields.notAfter)),
    name(fields.subject),
    fields.publicKey,
    tagged(3, [sequence(...extensions(fields))]),
  );
  const signature = sign('sha256', body, issuerKey);
  const der = sequence(body, algorithm, bits(signature));
  return { pem: toPem(der, 'CERTIFICATE'), der, serial: serial.toString('hex') };
}

/** The first bits are 01: positive, and never shorter than the rest. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  return serial;
}

export function name(subject: Subject): Der {
  const part = (type: string, value: string): Der => set(sequence(oid(type), utf8(value)));
  return sequence(part(OID.organization, subject.organization), part(OID.organizationalUnit, subject.unit), part(OID.commonName, subject.commonName));
}

function extensions(fields: CertificateFields): Der[] {
  const extension = (type: string, critical: boolean, value: Der): Der => sequence(oid(type), ...(critical ? [boolean(true)] : []), octets(value));
  const isCa = fields.caPathLength !== null;
  const list = [
    extension(OID.basicConstraints, true, isCa ? sequence(boolean(true), integer(Buffer.from([fields.caPathLength]))) : sequence()),
    // keyCertSign and cRLSign, or digitalSignature alone: named bits count from the left.
    extension(OID.keyUsage, true, isCa ? bits(Buffer.from([0b0000_0110]), 1) : bits(Buffer.from([0b1000_0000]), 7)),
    extension(OID.subjectKeyIdentifier, false, octets(keyId(fields.publicKey))),
  ];
  if (fields.issuerKeyId !== null) list.push(extension(OID.authorityKeyIdentifier, false, sequence(tagged(0, fields.issuerKeyId))));
  if (fields.usages.length > 0) list.push(extension(OID.extendedKeyUsage, false, sequence(...fields.usages.map((usage) => oid(OID[usage])))));
  const names = [...fields.uris.map((uri) => tagged(6, Buffer.from(uri, 'ascii'))), ...fields.hosts.map(hostName)];
  if (names.length > 0) list.push(extension(OID.subjectAltName, false, sequence(...names)));
  return list;
}

function hostName(host: string): Der {
  if (isIPv4(host)) return tagged(7, Buffer.from(host.split('.').map(Number)));
  if (isIPv6(host)) return tagged(7, ipv6Bytes(host));
  return tagged(2, Buffer.from(host, 'ascii'));
}

function ipv6Bytes(host: string): Buffer {
  const [head = '', tail] = host.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** What precedes the point in the SubjectPublicKeyInfo of every uncompressed P-256 key (RFC 5480): the same 26 bytes. */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** Whether `publicKey` (SubjectPublicKeyInfo, DER) is an uncompressed P-256 key. */
export function isP256(publicKey: Buffer): boolean {
  return publicKey.length === P256_PREFIX.length + 65 && publicKey.subarray(0, P256_PREFIX.length).equals(P256_PREFIX);
}

function pointOf(publicKey: Buffer): Buffer {
  assert(isP256(publicKey), 'belt signs P-256 keys only');
  return publicKey.subarray(P256_PREFIX.length);
}

/** SHA-1 of the key's bits (RFC 5280, 4.2.1.2, method 1): an index, not a protection. */
export function keyId(publicKey: Buffer): Buffer {
  return createHash('sha1').update(pointOf(publicKey)).digest();
}
