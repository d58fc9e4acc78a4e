/**
 * Ed25519 key pairs in OpenSSH's own format, which is what both `ssh` and ssh2 read. Written here because ssh2 1.17's generator
 * cuts leading zero bytes off public keys, so that one key in 256 is unusable.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';

export interface SshKeyPair {
  /** `-----BEGIN OPENSSH PRIVATE KEY-----…`, not encrypted: for files with mode 0600. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA… comment`. */
  readonly publicKey: string;
}

const TYPE = 'ssh-ed25519';

/** A fresh key pair. `comment` ends up in both halves; line breaks in it become spaces. */
export function generateSshKeyPair(comment: string): SshKeyPair {
  const label = comment.replace(/\s+/g, ' ').trim();
  const { privateKey } = generateKeyPairSync('ed25519');
  const jwk = privateKey.export({ format: 'jwk' });
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const point = Buffer.from(jwk.x ?? '', 'base64url');
  const publicBlob = Buffer.concat([field(TYPE), field(point)]);
  return { privateKey: armour(publicBlob, seed, point, label), publicKey: `${TYPE} ${publicBlob.toString('base64')} ${label}`.trim() };
}

/** OpenSSH's `PROTOCOL.key`: magic, cipher and kdf `none`, one public key, one padded private section with a doubled check number. */
function armour(publicBlob: Buffer, seed: Buffer, point: Buffer, comment: string): string {
  const check = randomBytes(4);
  const secret = Buffer.concat([check, check, field(TYPE), field(point), field(Buffer.concat([seed, point])), field(comment)]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const one = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([Buffer.from('openssh-key-v1\0'), field('none'), field('none'), field(''), one, field(publicBlob), field(Buffer.concat([secret, padding]))]);
  const lines = body.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}

function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
