/** `belt certs ls`: what the cluster has issued and revoked, and what the operator holds. */
import { readFileSync } from 'node:fs';

import { readPem } from '../../certs/authority.ts';
import { factsOf, splitPem } from '../../certs/identity.ts';
import type { ClusterFiles } from '../../inventory/cluster.ts';
import type { CallResult } from '../../swarm-agent/api/calls.ts';
import { compareNames } from '../../provision/fleet.ts';
import type { Swarm } from '../../swarm/swarm.ts';
import { defineCommand } from '../command.ts';
import { expiryWarnings } from '../expiry.ts';
import { withSwarm } from '../swarm-access.ts';

type Row = CallResult<'certs.list'>['certificates'][number];

export const command = defineCommand({
  positionals: {},
  options: {},
  examples: ['belt certs ls'],
  async run(ctx) {
    const cluster = ctx.cluster();
    const rows = await withSwarm(ctx, cluster, async (swarm) => {
      const nodes = await issued(swarm);
      return [...own(cluster.files), ...machines(swarm, new Set(nodes.map(({ name }) => name))), ...nodes];
    });
    const certificates = rows.filter(({ serial }, at) => serial === null || rows.findIndex((row) => row.serial === serial) === at).toSorted(inOrder);
    const now = ctx.ports.now();
    ctx.ui.report(certificates, (ui) => {
      ui.table([{ heading: 'NAME' }, { heading: 'ROLE' }, { heading: 'EXPIRES' }, { heading: 'STATUS' }, { heading: 'SERIAL' }], certificates.map((row) => [row.name ?? '', row.role ?? '', row.notAfter.slice(0, 16).replace('T', ' '), standing(row, now), row.serial ?? '']));
      for (const warning of expiryWarnings(cluster.files, now)) ui.warn(warning);
    });
  },
});

const ROLES = ['ca', 'operator', 'manager', 'worker', 'machine'];

/** By role, by name, and the one that runs out last before the others of a name. */
export function inOrder(a: Pick<Listed, 'role' | 'name' | 'notAfter'>, b: Pick<Listed, 'role' | 'name' | 'notAfter'>): number {
  return ROLES.indexOf(a.role ?? '') - ROLES.indexOf(b.role ?? '') || compareNames(a.name ?? '', b.name ?? '') || b.notAfter.localeCompare(a.notAfter);
}

type Listed = Omit<Row, 'role' | 'serial'> & { readonly role: Row['role'] | 'ca'; readonly serial: string | null };

const IN_FORCE = { revokedAt: null, caDropped: false };

/** The CA and the operator's own certificate, from their files. */
function own(files: ClusterFiles): Listed[] {
  const roots = splitPem(readFileSync(files.caCertificate, 'utf8')).map((pem): Listed => {
    const x509 = readPem(pem);
    return { serial: x509.serialNumber.toLowerCase(), role: 'ca', name: /CN=(.*)/.exec(x509.subject)?.[1] ?? null, nodeId: null, notAfter: x509.validToDate.toISOString(), ...IN_FORCE };
  });
  const { serial, name, notAfter } = factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8')));
  return [...roots, { serial, role: 'operator', name, nodeId: null, notAfter: new Date(notAfter).toISOString(), ...IN_FORCE }];
}

/** Machines that bootstrap has seen and that are no nodes: the cluster knows nothing of their certificates. */
function machines(swarm: Swarm, nodes: ReadonlySet<string | null>): Listed[] {
  return swarm.book.bootstrapped.filter((name) => !nodes.has(name)).flatMap((name) => {
    const notAfter = swarm.book.expiresOf(name);
    return notAfter === null ? [] : [{ serial: null, role: 'machine', name, nodeId: null, notAfter, ...IN_FORCE } satisfies Listed];
  });
}

async function issued(swarm: Swarm): Promise<Row[]> {
  return (await swarm.formed()) ? (await swarm.cluster('certs.list', {})).certificates : [];
}

function standing({ notAfter, revokedAt, caDropped }: Listed, now: number): string {
  if (revokedAt !== null) return 'revoked';
  if (caDropped) return 'CA replaced';
  return new Date(notAfter).getTime() < now ? 'expired' : 'valid';
}
