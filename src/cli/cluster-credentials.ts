/**
 * The operator's own certificates and keys, checked where they are read. A damaged file here must not look like managers that are gone: what one does
 * about those can cost the swarm.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { loadAuthority, readPem, type Authority } from '../certs/authority.ts';
import { splitPem } from '../certs/identity.ts';
import { BeltError, isBeltError } from '../errors.ts';
import type { ClusterFiles } from '../inventory/cluster.ts';
import { loadPrivateKey, type SshPrivateKey } from '../ssh/client.ts';
import type { OperatorCredentials } from '../swarm/agent-client.ts';

/** The roots in force, the signing one first. Throws `state_damaged`. */
export function readRoots({ caCertificate }: ClusterFiles): string[] {
  const text = readFileSync(caCertificate, 'utf8');
  const roots = splitPem(text);
  try {
    if (roots.length > 0 && text.trimEnd().endsWith('-----END CERTIFICATE-----') && roots.every((root) => readPem(root).ca)) return roots;
  } catch {
    // Said below.
  }
  throw new BeltError('state_damaged', `${caCertificate} is damaged: it is not the certificate of a CA`, { next: 'copy it from a machine of the cluster, where it is /var/lib/belt/pki/ca.crt' });
}

/** The CA that signs. Throws `state_damaged`, or `certificate` for a passphrase that is missing or wrong. */
export function readAuthority(files: ClusterFiles, passphrase: string | undefined): Authority {
  const [root = ''] = readRoots(files);
  try {
    return loadAuthority(root, readFileSync(files.caKey, 'utf8'), passphrase);
  } catch (error) {
    if (isBeltError(error) && error.next !== undefined) throw error;
    throw new BeltError('state_damaged', `${files.caKey} is damaged, or not the key of ${files.caCertificate}`, { cause: error, next: 'belt certs rotate, where one was interrupted; else put back a copy of the two files' });
  }
}

/** Whether the operator's certificate and key can be read and belong together. */
export function isOperatorWhole(files: ClusterFiles): boolean {
  try {
    return readPem(readFileSync(files.operatorCertificate, 'utf8')).checkPrivateKey(createPrivateKey(readFileSync(files.operatorKey, 'utf8')));
  } catch {
    return false;
  }
}

/** The key that machines let in. Throws `state_damaged`. */
export function readSshKey({ sshKey }: Pick<ClusterFiles, 'sshKey'>): SshPrivateKey {
  try {
    return loadPrivateKey(readFileSync(sshKey, 'utf8'), sshKey);
  } catch (error) {
    throw new BeltError('state_damaged', (error as Error).message, { cause: error, next: 'put back a copy: machines let in no other; agents are reached without it' });
  }
}

/** What agents are dialed with. Throws `state_damaged`. */
export function readCredentials(files: ClusterFiles, clusterId: string): OperatorCredentials {
  const roots = readRoots(files);
  if (!isOperatorWhole(files)) {
    throw new BeltError('state_damaged', `${files.operatorCertificate} and ${files.operatorKey} are damaged, or do not belong together`, { next: 'belt certs operator makes another pair' });
  }
  return { clusterId, key: readFileSync(files.operatorKey, 'utf8'), cert: readFileSync(files.operatorCertificate, 'utf8'), roots };
}
