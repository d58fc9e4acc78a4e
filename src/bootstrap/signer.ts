/** The operator's pen: what the cluster's CA signs during a bootstrap. */
import { X509Certificate } from 'node:crypto';

import { signCsr, signKey, type Authority } from '../certs/authority.ts';
import { factsOf } from '../certs/identity.ts';
import type { Role } from '../certs/profiles.ts';
import type { Machine } from '../provision/driver.ts';
import type { Signer } from './bootstrap-machine.ts';

/** Signs with the cluster's CA. `lifetimeMs`: of nodes' certificates, instead of the role's own; nobody renews a bare machine's, so that keeps its own. */
export function authoritySigner(authority: Authority, now: () => number, lifetimeMs?: number): Signer {
  const options = (machine: Machine, role: Role) => ({
    hosts: [machine.name, machine.publicIpv4, machine.privateIpv4].filter((host) => host !== null), nowMs: now(), ...(lifetimeMs === undefined || role === 'machine' ? {} : { lifetimeMs }),
  });
  return {
    signRequest: (csr, machine) => signCsr(authority, csr, { cluster: authority.cluster, role: 'machine', name: machine.name }, options(machine, 'machine')).certificate,
    signAgain: (pem, machine) => {
      const x509 = new X509Certificate(pem);
      const { cluster, role, name } = factsOf(x509);
      return signKey(authority, x509.publicKey.export({ type: 'spki', format: 'der' }), { cluster, role, name }, options(machine, role)).certificate;
    },
  };
}
