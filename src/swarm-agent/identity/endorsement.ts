/**
 * How a node that was switched off while the CA was replaced comes to trust the new root: the old root's key has signed it. A root may sign
 * no other CA certificate (its path length is 0), so the word is given beside the certificates, not within them.
 */
import { createPrivateKey, sign, verify } from 'node:crypto';

import { readPem } from '../../certs/authority.ts';
import { splitPem } from '../../certs/identity.ts';
import { BeltError } from '../../errors.ts';
import { dial } from '../api/client.ts';
import type { ManagerAddress } from '../api/shapes.ts';

/** Bound to its purpose, so that no other signature of the CA can be taken for it. */
const message = (root: string): Buffer => Buffer.concat([Buffer.from('belt: this root follows\n'), readPem(root).raw]);

/** The signature of the key of the old root over the new root (PEM), base64. */
export function endorse(root: string, oldKey: string): string {
  return sign('sha256', message(root), createPrivateKey(oldKey)).toString('base64');
}

/** Whether one of the trusted roots has signed for `root`. */
export function isEndorsed(root: string, endorsement: string, trusted: readonly string[]): boolean {
  return trusted.some((old) => verify('sha256', message(root), readPem(old).publicKey, Buffer.from(endorsement, 'base64')));
}

/** Asks a manager that shows an unknown root for the roots in force; returns those that our own vouch for, ours included. Throws `BeltError('certificate')`. */
export async function fetchRoots(manager: ManagerAddress, trusted: readonly string[]): Promise<string[]> {
  // Whoever answers is not believed: the old root's signature is.
  const client = await dial({ address: manager.address, machine: manager.name, protocol: 'belt-join/1', identity: null, roots: [], verify: () => undefined, timeoutMs: 2000 });
  try {
    const { roots, endorsement } = await client.call('roots', {}, { timeoutMs: 2000 });
    const known = new Set(trusted.map((root) => root.trim()));
    const fresh = splitPem(roots).filter((root) => !known.has(root.trim()) && endorsement !== null && isEndorsed(root, endorsement, trusted));
    if (fresh.length === 0) throw new BeltError('certificate', `${manager.name} shows a root that ours has not vouched for`, { machine: manager.name, next: 'belt certs renew' });
    return [...fresh, ...trusted];
  } finally {
    client.close();
  }
}
