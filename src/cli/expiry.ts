/** When the operator's own certificates run out, said in time. */
import { existsSync, readFileSync } from 'node:fs';

import { readPem } from '../certs/authority.ts';
import type { ClusterFiles } from '../inventory/cluster.ts';

const DAY_MS = 86_400_000;
/** An operator who comes by once a fortnight shall hear of it. */
const WARN_DAYS = 14;

/** Sentences about the operator's certificate and the CA, where less than a fortnight is left. */
export function expiryWarnings(files: ClusterFiles, nowMs: number): string[] {
  const warnings: string[] = [];
  for (const [file, what, next] of [[files.operatorCertificate, 'your operator certificate', 'belt certs operator renews it'], [files.caCertificate, 'the CA', 'belt certs rotate']] as const) {
    if (!existsSync(file)) continue;
    const leftDays = (readPem(readFileSync(file, 'utf8')).validToDate.getTime() - nowMs) / DAY_MS;
    if (leftDays < WARN_DAYS) warnings.push(`${what} ${leftDays < 0 ? 'has run out' : `runs out in ${Math.ceil(leftDays)} days`}: ${next}`);
  }
  return warnings;
}
