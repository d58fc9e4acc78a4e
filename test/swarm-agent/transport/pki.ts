/** Certificates by belt's own CA, for tests over real TLS. */
import { createPublicKey } from 'node:crypto';
import { createAuthority, signKey } from '../../../src/certs/authority.ts';
import { newKey } from '../../../src/certs/csr.ts';
import { verifyCertificate } from '../../../src/certs/identity.ts';
import type { Credentials, Identify, PeerRole } from '../../../src/swarm-agent/transport/identity.ts';

export interface TestPki {
  /** A key with a certificate for `name`, good for `lifetimeMs` from `nowMs` on. */
  readonly issue: (role: PeerRole, name: string, when?: { nowMs: number; lifetimeMs: number }) => Credentials & { readonly serial: string };
  /** Believes this CA's certificates of this cluster, but for the serials `revoked`. */
  readonly identify: (revoked?: ReadonlySet<string>) => Identify;
}

export function testPki(cluster = 'c'.repeat(32)): TestPki {
  const authority = createAuthority(cluster, Date.now());
  return {
    issue(role, name, when) {
      const { key, pem } = newKey();
      const { certificate, serial } = signKey(authority, createPublicKey(key).export({ type: 'spki', format: 'der' }), { cluster, role, name }, when ?? { nowMs: Date.now() });
      return { key: pem, cert: certificate, ca: [authority.certificate], serial };
    },
    identify: (revoked = new Set()) => (certificate) => verifyCertificate(certificate, { nowMs: Date.now(), roots: [authority.certificate], cluster, revoked }),
  };
}
