/** New certificates over SSH, signed by the operator's CA, and written down in the cluster as soon as it can be asked. */
import type { Bootstrapped } from '../bootstrap/bootstrap-machine.ts';
import { readPem } from '../certs/authority.ts';
import { factsOf } from '../certs/identity.ts';
import { isBeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { runAll } from '../provision/run-all.ts';
import { bootstrapAll, type Hands, type Report } from './operations.ts';

/** Renews each machine's certificate, whatever is left of it; an agent that is not running is started with it. Outcomes in the machines' order. */
export async function renewCertificates(hands: Hands, machines: readonly Machine[], report: Report): Promise<Outcome<Bootstrapped>[]> {
  const outcomes = await bootstrapAll(hands, machines, { renew: true, only: ['certificate', 'start'] }, report);
  const signed = outcomes.flatMap((outcome) => (outcome.ok && outcome.value.signed !== null ? [outcome.value.signed] : []));
  const ofNodes = signed.filter((pem) => factsOf(readPem(pem)).role !== 'machine');
  if (ofNodes.length > 0) await writeDown(hands, ofNodes);
  return outcomes;
}

/** So that they can be listed and revoked. Without a quorum they hold all the same; the nodes' own next renewal writes itself down. */
async function writeDown({ swarm, signal, limit }: Hands, certificates: readonly string[]): Promise<void> {
  try {
    if (!(await swarm.formed())) return;
  } catch (error) {
    if (isBeltError(error)) return;
    throw error;
  }
  await runAll(certificates, (certificate) => swarm.cluster('certs.record', { certificate }), { limit, signal, nameOf: () => 'certificate' });
}
