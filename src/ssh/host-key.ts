/**
 * Host keys: how they are written down, and whether one that a machine shows is acceptable. Pure. belt pins whole keys, not
 * fingerprints, so that a pin can be compared byte for byte and printed the way `ssh-keyscan` prints it.
 */
import { createHash } from 'node:crypto';
import { BeltError } from '../errors.ts';

/** A host key as a machine showed it. */
export interface HostKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` … */
  readonly type: string;
  /** One line as in `known_hosts` without the host: `ssh-ed25519 AAAA…`. This is what is pinned. */
  readonly openssh: string;
  /** `SHA256:…` without padding, as OpenSSH prints it. */
  readonly fingerprint: string;
}

/**
 * What is known of a machine's key before the first byte: the keys it may show (OpenSSH lines; a comment after the key is
 * ignored), or nothing yet, in which case the key seen is reported and the caller pins it.
 */
export type HostKeyPolicy = { readonly pinned: readonly string[] } | 'first-sight';

/** Reads the wire form of a public key (RFC 4253, 6.6: a string with the type, then the type's own fields). */
export function hostKeyOf(blob: Buffer): HostKey {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  if (length === 0 || length > 64 || blob.length < 4 + length) throw new BeltError('unreachable', 'the host key is not a public key');
  const type = blob.subarray(4, 4 + length).toString('latin1');
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return { type, openssh: `${type} ${blob.toString('base64')}`, fingerprint: `SHA256:${digest}` };
}

/** Reads an OpenSSH public key line, with or without a comment. Throws `config` where it is none. */
export function parseHostKey(line: string): HostKey {
  const [type, base64] = line.trim().split(/\s+/);
  const blob = Buffer.from(base64 ?? '', 'base64');
  const key = blob.length > 4 ? tryHostKey(blob) : undefined;
  if (key === undefined || key.type !== type) {
    throw new BeltError('config', `not an OpenSSH public key: ${JSON.stringify(line.slice(0, 40))}`, { next: "give a line as `ssh-keyscan` prints it, such as 'ssh-ed25519 AAAA…'" });
  }
  return key;
}

/** Throws `host_key_changed` when `seen` is none of the pinned keys. Says what was pinned, what was seen, and the way out. */
export function checkHostKey(policy: HostKeyPolicy, seen: HostKey, machine: string): void {
  if (policy === 'first-sight') return;
  const pinned = policy.pinned.map(parseHostKey);
  if (pinned.some((key) => key.openssh === seen.openssh)) return;
  const known = pinned.map((key) => `${key.type} ${key.fingerprint}`).join(' or ') || 'none';
  throw new BeltError('host_key_changed', `${machine} shows host key ${seen.type} ${seen.fingerprint}, pinned is ${known}`, {
    machine,
    next: `somebody may be listening in; if ${machine} was rebuilt, forget the old key with: belt bootstrap --accept-new-host-key ${machine}`,
  });
}

/** Algorithms to offer for the host key: those of the pinned types first, so that a server with several shows the pinned one. */
export function hostKeyAlgorithms(policy: HostKeyPolicy): string[] {
  if (policy === 'first-sight') return [...ALGORITHMS.keys()];
  const types = new Set(policy.pinned.map((line) => parseHostKey(line).type));
  const entries = [...ALGORITHMS];
  return [...entries.filter(([, type]) => types.has(type)), ...entries.filter(([, type]) => !types.has(type))].map(([name]) => name);
}

/** Signature algorithm → key type, in the order of preference. SHA-1 signatures (`ssh-rsa`) are not offered. */
const ALGORITHMS: ReadonlyMap<string, string> = new Map([
  ['ssh-ed25519', 'ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256'],
  ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384'],
  ['ecdsa-sha2-nistp521', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'ssh-rsa'],
  ['rsa-sha2-256', 'ssh-rsa'],
]);

function tryHostKey(blob: Buffer): HostKey | undefined {
  try {
    return hostKeyOf(blob);
  } catch {
    return undefined;
  }
}
