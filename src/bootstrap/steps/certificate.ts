import { factsOf, signedByOne, type CertificateFacts } from '../../certs/identity.ts';
import { readPem } from '../../certs/authority.ts';
import { BeltError } from '../../errors.ts';
import type { Facts } from '../facts.ts';
import { renderShell } from '../render.ts';
import type { Step } from '../step.ts';
import type { Wanted } from '../wanted.ts';

/** A machine that is no node yet has nobody to renew its certificate but us: below this share of its life it is due. */
const DUE_SHARE = 0.25;

export type CertificateVerdict =
  | { readonly do: 'keep' }
  /** The agent makes its key (or has it) and asks with a request. */
  | { readonly do: 'enrol' }
  /** The same key and identity for another while. */
  | { readonly do: 'resign'; readonly facts: CertificateFacts; readonly pem: string };

/**
 * What to do about a machine's certificate. A role is only renewed where the CA itself had given it: what lies on a machine proves nothing. Throws
 * `refused` for a machine of another cluster, `certificate` for a node whose certificate our CA has not signed.
 */
export function judgeCertificate(facts: Facts, wanted: Wanted): CertificateVerdict {
  const { machine, cluster, nowMs } = wanted;
  if (facts.certificate === null || facts.roots === null || !facts.hasKey) return { do: 'enrol' };
  const x509 = readPem(facts.certificate);
  const held = factsOf(x509);
  if (held.cluster !== cluster.id) {
    throw new BeltError('refused', `${machine} belongs to another cluster (${held.cluster.slice(0, 8)}…)`, { machine, next: `belt exec ${machine} -- rm -r /etc/belt /var/lib/belt, when that cluster is gone` });
  }
  if (!signedByOne(x509, cluster.roots)) {
    if (held.role === 'machine') return { do: 'enrol' };
    throw new BeltError('certificate', `${machine} holds a ${held.role} certificate that this cluster’s CA has not signed`, { machine, next: `belt swarm leave ${machine} --force, then join it again` });
  }
  const left = (held.notAfter - nowMs) / (held.notAfter - held.notBefore);
  const due = left <= 0 || (held.role === 'machine' && left < DUE_SHARE);
  return wanted.renew || due ? { do: 'resign', facts: held, pem: facts.certificate } : { do: 'keep' };
}

/** The certificate. A first one comes by a request from the agent itself, so its act starts the agent; the answer follows in the conversation. */
export const certificate: Step = {
  id: 'certificate',
  check: (facts, wanted) => ({ keep: null, enrol: 'make a key, sign its certificate and start the agent', resign: 'renew the certificate' })[judgeCertificate(facts, wanted).do],
  act: (facts, wanted) => {
    const verdict = judgeCertificate(facts, wanted);
    // Renewed certificates are signed by the caller, who holds the CA: see enrol in bootstrap-machine.ts.
    return { script: verdict.do === 'enrol' ? renderShell('bootstrap/enrol.sh') : '', payload: [] };
  },
};
