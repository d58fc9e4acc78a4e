/** The joiner's end of `belt-join/1`: the manager proves that it belongs to the CA the token names before it hears the token. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

import { fingerprintOf } from '../../certs/authority.ts';
import { factsOf } from '../../certs/identity.ts';
import { parseToken } from '../../certs/join-token.ts';
import { BeltError, isBeltError } from '../../errors.ts';
import { dial } from '../api/client.ts';
import type { Joined, JoinRequest } from '../api/shapes.ts';

/** Certificates of a chain that are looked at: leaf and two roots are what an agent shows. */
const CHAIN_MAX = 8;
/** How long a manager may take to shake hands, ms: in a bulk join many come at once. */
const DIAL_MS = 10_000;

export interface JoinOptions {
  /** `host:port` of managers, tried in turn while they are unreachable or busy. */
  readonly managers: readonly string[];
  readonly request: JoinRequest;
  /** For the whole, ms. */
  readonly timeoutMs: number;
}

/** Sends the join. Rejects with the manager's refusal, `certificate` where the manager is not of the token's CA, or the last manager's failure. */
export async function askToJoin({ managers, request, timeoutMs }: JoinOptions): Promise<Joined> {
  const { caDigest: digest } = parseToken(request.token);
  let last = new BeltError('unreachable', 'no manager was named');
  for (const address of managers) {
    try {
      const client = await dial({
        address, machine: address, protocol: 'belt-join/1', identity: null, roots: [], timeoutMs: Math.min(timeoutMs, DIAL_MS),
        verify: (socket) => verifyManager(socket, address, digest, request.name),
      });
      try {
        return await client.call('join', request, { timeoutMs });
      } finally {
        client.close();
      }
    } catch (error) {
      if (!isBeltError(error) || !error.retryable) throw error;
      last = error;
    }
  }
  throw last;
}

/** The root with the token's digest must be in the chain that is shown, and must have signed a manager's certificate that is in force. */
function verifyManager(socket: TLSSocket, address: string, digest: string, machine: string): void {
  const refuse = (why: string): BeltError => new BeltError('certificate', `the manager at ${address} ${why}`, { machine, next: 'check the address, and take the token from: belt swarm token' });
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) throw refuse('shows no certificate');
  const root = chainOf(leaf).find((certificate) => certificate.ca && fingerprintOf(certificate) === digest);
  if (root === undefined) throw refuse('is of another CA than the token');
  if (!leaf.checkIssued(root) || !leaf.verify(root.publicKey)) throw refuse('shows a certificate that the token’s CA has not signed');
  const now = Date.now();
  if (leaf.validToDate.getTime() < now || leaf.validFromDate.getTime() > now) throw refuse('shows a certificate that is not in force');
  const { role } = factsOf(leaf);
  if (role !== 'manager') throw refuse(`is no manager (its certificate is a ${role}’s)`);
}

/** By `issuerCertificate`: after `getPeerX509Certificate`, Node's `getPeerCertificate(true)` comes back empty. */
function chainOf(leaf: X509Certificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next: X509Certificate | undefined = leaf; next !== undefined && chain.length < CHAIN_MAX; next = next.issuerCertificate) chain.push(next);
  return chain;
}
