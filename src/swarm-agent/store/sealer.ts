/**
 * Secrets at rest. Whoever proposes a change seals its secrets first, so that log, snapshots, backups and the wire between managers hold
 * ciphertext only. The key is the cluster's, 256 bits, in a file of its own on every manager (and nowhere else): whoever finds a log or a
 * backup without that file learns nothing.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { BeltError } from '../../errors.ts';
import type { SealedText } from './records.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals and opens with AES-256-GCM. `purpose` (e.g. `token/worker`) is bound to the ciphertext: a sealed text put in another's place does not open. */
export interface Sealer {
  /** Names the key without giving it away; stands in every sealed text. */
  readonly keyId: string;
  seal(purpose: string, secret: string): SealedText;
  /** Throws `BeltError('failed')` when the text was sealed with another key, for another purpose, or was changed. */
  open(purpose: string, sealed: SealedText): string;
}

/** A new sealing key. */
export function newSealingKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** The sealer of `key` (32 bytes). A sealed text is `1.<key id>.<nonce, ciphertext and tag in base64url>`. */
export function createSealer(key: Uint8Array): Sealer {
  if (key.length !== KEY_BYTES) throw new Error(`a sealing key has ${KEY_BYTES} bytes, not ${key.length}`);
  const keyId = createHash('sha256').update('belt sealing key').update(key).digest('hex').slice(0, 16);
  return {
    keyId,
    seal(purpose, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose));
      const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `1.${keyId}.${sealed.toString('base64url')}` as SealedText;
    },
    open(purpose, sealed) {
      const [version, sealedWith, body = ''] = sealed.split('.');
      if (version !== '1' || sealedWith !== keyId) throw new BeltError('failed', `a secret (${purpose}) is sealed with another key than this manager's`);
      const bytes = Buffer.from(body, 'base64url');
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES }).setAAD(Buffer.from(purpose));
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
        return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch (error) {
        throw new BeltError('failed', `a sealed secret (${purpose}) does not open: it was changed or belongs elsewhere`, { cause: error });
      }
    },
  };
}
