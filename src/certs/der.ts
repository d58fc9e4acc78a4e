/**
 * DER (X.690) as typed building blocks: the only importer of node-forge. node-forge refuses EC keys in all its certificate functions, so
 * only its ASN.1 parts serve, to read and for object identifiers; keys, signatures and checks are node:crypto's.
 */
import asn1 from 'node-forge/lib/asn1.js';
import { assert } from '../errors.ts';

/** One DER value, encoded. */
export type Der = Buffer;
/** A decoded value. */
export type Tree = ReturnType<typeof asn1.fromDer>;

const TAG = { boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, set: 0x31, context: 0x80, constructed: 0x20 } as const;

/**
 * Tag, length, content. Values are put together as bytes from the inside out, which costs a tenth of building node-forge's tree of strings;
 * a signature is then made over the very bytes that are sent.
 */
function value(tag: number, ...content: readonly Uint8Array[]): Der {
  let length = 0;
  for (const part of content) length += part.length;
  assert(length < 0x10000, 'a DER value of belt is short');
  const header = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.from(header), ...content], header.length + length);
}

export const sequence = (...items: Der[]): Der => value(TAG.sequence, ...items);
export const set = (...items: Der[]): Der => value(TAG.set, ...items);
export const oid = (dotted: string): Der => value(TAG.oid, Buffer.from(asn1.oidToDer(dotted).getBytes(), 'latin1'));
export const utf8 = (text: string): Der => value(TAG.utf8, Buffer.from(text, 'utf8'));
export const boolean = (truth: boolean): Der => value(TAG.boolean, Uint8Array.of(truth ? 0xff : 0));
export const octets = (bytes: Uint8Array): Der => value(TAG.octets, bytes);
/** A non-negative integer from its big-endian bytes (one at least). */
export const integer = (bytes: Uint8Array): Der => {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.subarray(start);
  return (trimmed[0] ?? 0) & 0x80 ? value(TAG.integer, Uint8Array.of(0), trimmed) : value(TAG.integer, trimmed);
};
/** A bit string whose last `unused` bits do not count. */
export const bits = (bytes: Uint8Array, unused = 0): Der => value(TAG.bits, Uint8Array.of(unused), bytes);
/** A context-specific tag `[number]`: constructed around items, or primitive with bytes. */
export const tagged = (number: number, content: Der[] | Uint8Array): Der =>
  Array.isArray(content) ? value(TAG.context | TAG.constructed | number, ...content) : value(TAG.context | number, content);

/** UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5); whole seconds. */
export function time(ms: number): Der {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$|[-:T]/g, '');
  return digits < '2050' ? value(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`)) : value(TAG.generalizedTime, Buffer.from(`${digits}Z`));
}

const binary = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

/** The bytes of a decoded value. */
export function encode(tree: Tree): Buffer {
  return Buffer.from(asn1.toDer(tree).getBytes(), 'latin1');
}

/** The tree of `bytes`; throws a plain `Error` where they are not exactly one DER value. */
export function decode(bytes: Uint8Array): Tree {
  return asn1.fromDer(binary(bytes), { strict: true, parseAllBytes: true } as never);
}

/** The `index`-th item of a constructed value; throws a plain `Error` where there is none. */
export function child(der: Tree, index: number): Tree {
  const item = Array.isArray(der.value) ? der.value[index] : undefined;
  if (item === undefined) throw new Error(`the value has no item ${index}`);
  return item as Tree;
}

/** The content bytes of a primitive value. */
export function content(der: Tree): Buffer {
  // A bit string that itself holds DER comes decoded; its original content is kept beside it.
  const original = (der as { bitStringContents?: string }).bitStringContents;
  if (original !== undefined) return Buffer.from(original, 'latin1');
  if (Array.isArray(der.value)) throw new Error('a primitive value was expected');
  return Buffer.from(der.value as string, 'latin1');
}

/** The dotted form of an object identifier's value. */
export function oidOf(der: Tree): string {
  return asn1.derToOid(der.value as string);
}

/** The DER bytes of PEM text with `label`; null where the text is no such PEM. */
export function fromPem(text: string, label: string): Buffer | null {
  const match = new RegExp(`^\\s*-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----\\s*$`).exec(text);
  return match === null ? null : Buffer.from((match[1] as string).replace(/\s+/g, ''), 'base64');
}

export function toPem(der: Uint8Array, label: string): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  return `-----BEGIN ${label}-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;
}
