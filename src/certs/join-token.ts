/**
 * `BELT-1-<CA digest>-<secret>`: what a machine needs to join. The digest lets the joiner check the manager before it tells the secret or
 * trusts anything; the secret lets the manager check the joiner. A role has a token of its own, and both change when the CA does.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { BeltError } from '../errors.ts';
import { fromPem } from './der.ts';

export interface JoinToken {
  /** SHA-256 of the CA certificate's DER, lower-case hex, 64 digits. */
  readonly caDigest: string;
  /** 160 random bits in lower-case base32, 32 characters. */
  readonly secret: string;
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const TOKEN = /^BELT-1-([0-9a-f]{64})-([a-z2-7]{32})$/;

export function newSecret(): string {
  let secret = '';
  // 256 is a multiple of 32: every letter is equally likely.
  for (const byte of randomBytes(32)) secret += ALPHABET[byte & 31];
  return secret;
}

export function formatToken(token: JoinToken): string {
  return `BELT-1-${token.caDigest}-${token.secret}`;
}

/** Throws `bad_token`; the text itself, a secret, is not repeated in the error. */
export function parseToken(text: string): JoinToken {
  const [, caDigest, secret] = TOKEN.exec(text.trim()) ?? [];
  if (caDigest === undefined || secret === undefined) {
    const why = text.startsWith('BELT-') && !text.startsWith('BELT-1-') ? 'it was made by a newer belt' : text.startsWith('SWMTKN-') ? "it is Docker's own token, not belt's" : 'it is cut short or mistyped';
    throw new BeltError('bad_token', `this is not a join token: ${why}`, { next: 'belt swarm token worker' });
  }
  return { caDigest, secret };
}

/** The digest a token carries for a CA certificate (PEM). */
export function caDigest(certificate: string): string {
  const der = fromPem(certificate, 'CERTIFICATE');
  if (der === null) throw new BeltError('certificate', 'a CA certificate cannot be read');
  return createHash('sha256').update(der).digest('hex');
}

/** Compares in constant time, whatever the lengths: both sides are hashed first. */
export function sameSecret(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
