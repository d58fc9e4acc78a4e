/** Throw-away certificates by belt's own CA, as files that etcd can read too. */
import { createPublicKey } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, signKey } from '../../src/certs/authority.ts';
import { newKey } from '../../src/certs/csr.ts';

/** The cluster of the benchmark. */
export const BENCH_CLUSTER = '0'.repeat(32);

/** Makes `ca.crt` and, for each name, `<name>.crt` and `<name>.key` in `folder`: managers, but for `client`, an operator. */
export function makePki(folder: string, names: readonly string[]): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const nowMs = Date.now();
  const authority = createAuthority(BENCH_CLUSTER, nowMs);
  writeFileSync(join(folder, 'ca.crt'), authority.certificate);
  for (const name of names) {
    const { key, pem } = newKey();
    const identity = { cluster: BENCH_CLUSTER, role: name === 'client' ? 'operator' : 'manager', name } as const;
    const { certificate } = signKey(authority, createPublicKey(key).export({ type: 'spki', format: 'der' }), identity, { nowMs, hosts: ['127.0.0.1', 'localhost'] });
    writeFileSync(join(folder, `${name}.key`), pem, { mode: 0o600 });
    writeFileSync(join(folder, `${name}.crt`), certificate);
  }
}
