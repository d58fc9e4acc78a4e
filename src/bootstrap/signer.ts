/** The operator's pen: what the cluster's CA signs during a bootstrap. */
import { X509Certificate } from 'node:crypto';

import { signCsr, signKey, type Authority } from '../certs/authority.ts';
import { factsOf } from '../certs/identity.ts';
import type { Machine } from '../provision/driver.ts';
import type { Signer } from './bootstrap-machine.ts';

/** Signs with the cluster's CA. `lifetimeMs`: instead of the role's own, for drills. */
export function authoritySigner(authority: Authority, now: () => number, lifetimeMs?: number): Signer {
  const options = (machine: Machine) => ({
    hosts: [machine.name, machine.publicIpv4, machine.privateIpv4].filter((host) => host !== null), nowMs: now(), ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
  });
  return {
    signRequest: (csr, machine) => signCsr(authority, csr, { cluster: authority.cluster, role: 'machine', name: machine.name }, options(machine)).certificate,
    signAgain: (pem, machine) => {
      const x509 = new X509Certificate(pem);
      const { cluster, role, name } = factsOf(x509);
      return signKey(authority, x509.publicKey.export({ type: 'spki', format: 'der' }), { cluster, role, name }, options(machine)).certificate;
    },
  };
}
