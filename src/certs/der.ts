/**
 * DER (X.690) as typed building blocks: the only importer of node-forge. node-forge refuses EC keys in all its certificate functions, so
 * only its ASN.1 codec serves; keys, signatures and checks are node:crypto's.
 */
import asn1 from 'node-forge/lib/asn1.js';

/** A node of a DER tree. */
export type Der = ReturnType<typeof asn1.create>;

const { Class, Type } = asn1;
const universal = (type: number, constructed: boolean, value: string | Der[]): Der => asn1.create(Class.UNIVERSAL, type, constructed, value);
const binary = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');

export const sequence = (...items: Der[]): Der => universal(Type.SEQUENCE, true, items);
export const set = (...items: Der[]): Der => universal(Type.SET, true, items);
export const oid = (dotted: string): Der => universal(Type.OID, false, asn1.oidToDer(dotted).getBytes());
export const utf8 = (text: string): Der => universal(Type.UTF8, false, Buffer.from(text, 'utf8').toString('latin1'));
export const boolean = (value: boolean): Der => universal(Type.BOOLEAN, false, value ? '\xff' : '\0');
export const octets = (bytes: Uint8Array): Der => universal(Type.OCTETSTRING, false, binary(bytes));
/** A non-negative integer from its big-endian bytes. */
export const integer = (bytes: Uint8Array): Der => {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.subarray(start);
  return universal(Type.INTEGER, false, ((trimmed[0] ?? 0) & 0x80 ? '\0' : '') + (trimmed.length === 0 ? '\0' : binary(trimmed)));
};
/** A bit string whose last `unused` bits do not count. */
export const bits = (bytes: Uint8Array, unused = 0): Der => universal(Type.BITSTRING, false, String.fromCharCode(unused) + binary(bytes));
/** A context-specific tag `[number]`: constructed around items, or primitive with bytes. */
export const tagged = (number: number, content: Der[] | Uint8Array): Der =>
  Array.isArray(content) ? asn1.create(Class.CONTEXT_SPECIFIC, number as never, true, content) : asn1.create(Class.CONTEXT_SPECIFIC, number as never, false, binary(content));

/** UTCTime until 2049, GeneralizedTime after (RFC 5280, 4.1.2.5); whole seconds. */
export function time(ms: number): Der {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050 ? universal(Type.UTCTIME, false, asn1.dateToUtcTime(date) as unknown as string) : universal(Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date) as unknown as string);
}

export function encode(der: Der): Buffer {
  return Buffer.from(asn1.toDer(der).getBytes(), 'latin1');
}

/** The tree of `bytes`; throws a plain `Error` where they are not exactly one DER value. */
export function decode(bytes: Uint8Array): Der {
  return asn1.fromDer(binary(bytes), { strict: true, parseAllBytes: true } as never);
}

/** The `index`-th item of a constructed value; throws a plain `Error` where there is none. */
export function child(der: Der, index: number): Der {
  const item = Array.isArray(der.value) ? der.value[index] : undefined;
  if (item === undefined) throw new Error(`the value has no item ${index}`);
  return item as Der;
}

/** The content bytes of a primitive value. */
export function content(der: Der): Buffer {
  // A bit string that itself holds DER comes decoded; its original content is kept beside it.
  const original = (der as { bitStringContents?: string }).bitStringContents;
  if (original !== undefined) return Buffer.from(original, 'latin1');
  if (Array.isArray(der.value)) throw new Error('a primitive value was expected');
  return Buffer.from(der.value as string, 'latin1');
}

/** The dotted form of an object identifier's value. */
export function oidOf(der: Der): string {
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
