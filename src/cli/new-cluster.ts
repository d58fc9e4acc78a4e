/** A new cluster with everything that is made once: folder and SSH key, its CA, the first operator's certificate. */
import { createPublicKey, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';

import { createAuthority, exportKey, readPem, signKey, type Authority } from '../certs/authority.ts';
import { newKey } from '../certs/csr.ts';
import { BeltError } from '../errors.ts';
import { replaceFileSync } from '../inventory/atomic-file.ts';
import { type ClusterFiles, clusterFiles, createCluster } from '../inventory/cluster.ts';
import type { Home } from '../inventory/home.ts';
import { generateSshKeyPair } from '../ssh/key-pair.ts';
import { isOperatorWhole, readAuthority } from './cluster-credentials.ts';

interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}

/** The variable with the passphrase of the CA's key; without it the key is in a 0600 file as it is. */
export const CA_PASSPHRASE = 'BELT_CA_PASSPHRASE';

/** Makes the cluster and its CA; `settle` does what belongs to it besides. The state comes last: until then it does not exist, and the same command makes it. Throws `usage` for a name that is none or taken, `locked`, `disk`. */
export async function newCluster(home: Home, name: string, command: string, world: World, settle: () => void = () => undefined): Promise<void> {
  const files = clusterFiles(home, name);
  const id = existsSync(files.caCertificate) ? readPem(readFileSync(files.caCertificate, 'utf8')).subject.match(/^O=([0-9a-f]{32})$/m)?.[1] : undefined;
  const clusterId = id ?? randomBytes(16).toString('hex');
  const prepare = (): void => {
    ensureAuthority(files, clusterId, world);
    settle();
  };
  const birth = { id: clusterId, sshKey: generateSshKeyPair(`belt-${name}`), prepare };
  createCluster(home, name, birth, command, world.now());
}

/** The CA and an operator's certificate where they are missing, as after a `cluster new` that died half-way. Safe to repeat. */
export function ensureAuthority(files: ClusterFiles, clusterId: string, world: World): Authority {
  const passphrase = world.env[CA_PASSPHRASE] || undefined;
  let authority: Authority;
  if (existsSync(files.caCertificate) && existsSync(files.caKey)) {
    authority = readAuthority(files, passphrase);
  } else if (existsSync(files.caCertificate)) {
    // The key is written before the certificate, so this is no attempt that died: a new CA would lock everybody out.
    throw new BeltError('certificate', `${files.caKey} is missing`, { next: 'put the key back from where the cluster was made; only the holder of the CA key can do this' });
  } else {
    authority = createAuthority(clusterId, world.now());
    replaceFileSync(files.caKey, exportKey(authority, passphrase));
    replaceFileSync(files.caCertificate, authority.certificate);
  }
  // Also after a crash between the two files.
  if (!isOperatorWhole(files)) issueOperator(files, authority, operatorName(world.env), world.now());
  return authority;
}

/** Writes a fresh key and certificate of operator `name`. */
export function issueOperator(files: ClusterFiles, authority: Authority, name: string, nowMs: number): void {
  const { key, pem } = newKey();
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const issued = signKey(authority, publicKey, { cluster: authority.cluster, role: 'operator', name }, { nowMs });
  replaceFileSync(files.operatorKey, pem);
  replaceFileSync(files.operatorCertificate, issued.certificate);
}

/** Who runs the CLI, as a name that may stand in a certificate. */
function operatorName(env: World['env']): string {
  let name = env['BELT_OPERATOR'] ?? '';
  try {
    name ||= userInfo().username;
  } catch {
    // A user without an entry in the password file has no name.
  }
  const fit = name.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '').slice(0, 64);
  return fit === '' ? 'operator' : fit;
}
