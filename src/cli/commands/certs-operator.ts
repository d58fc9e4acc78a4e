/** `belt certs operator [NAME]`: a certificate for another operator, a fresh one for oneself, or the end of one. */
import { createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { readPem, signKey } from '../../certs/authority.ts';
import { newKey } from '../../certs/csr.ts';
import { factsOf } from '../../certs/identity.ts';
import { BeltError, isBeltError } from '../../errors.ts';
import { replaceFileSync } from '../../inventory/atomic-file.ts';
import type { Hands } from '../../swarm/operations.ts';
import type { Swarm } from '../../swarm/swarm.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { issueOperator } from '../new-cluster.ts';
import { withHands, withSwarm } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { name: 'optional' },
  options: {
    out: { type: 'string', requiresArg: true, describe: 'the folder for the files of NAME (default: ./NAME)' },
    revoke: { type: 'boolean', default: false, describe: 'revoke the certificates of NAME' },
  },
  examples: ['belt certs operator', 'belt certs operator alice --out /media/key/alice', 'belt certs operator --revoke alice'],
  async run(ctx, args) {
    if (args.revoke) return revoke(ctx, args.name);
    const done = await withHands(ctx, async (hands, { files }) => {
      if (args.name !== undefined) return give(ctx, hands, args.name, path.resolve(ctx.ports.cwd, args.out ?? args.name));
      const { name } = factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8')));
      issueOperator(files, hands.authority, name, ctx.ports.now());
      return { name, folder: files.folder, notAfter: new Date(factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8'))).notAfter).toISOString() };
    });
    // Only now, with the new certificate: the one before may be revoked.
    if (args.name === undefined) await withSwarm(ctx, ctx.cluster(), (swarm) => record(ctx, swarm, readFileSync(ctx.cluster().files.operatorCertificate, 'utf8')));
    ctx.ui.report(done, (ui) => ui.line(`${done.name}: operator certificate in ${done.folder}, until ${done.notAfter.slice(0, 16).replace('T', ' ')}`));
  },
});

async function give(ctx: Context, hands: Hands, name: string, folder: string) {
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(name)) throw new BeltError('usage', `'${name}' cannot be an operator's name`, { next: 'use letters, digits, ".", "_" and "-"' });
  const { key, pem } = newKey();
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const issued = signKey(hands.authority, publicKey, { cluster: hands.cluster.id, role: 'operator', name }, { nowMs: ctx.ports.now() });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  replaceFileSync(path.join(folder, 'operator.key'), pem);
  replaceFileSync(path.join(folder, 'operator.crt'), issued.certificate);
  replaceFileSync(path.join(folder, 'ca.crt'), hands.roots);
  await record(ctx, hands.swarm, issued.certificate);
  return { name, folder, notAfter: new Date(issued.notAfter).toISOString() };
}

/** So that it can be listed, and revoked by name, by others. */
async function record(ctx: Context, swarm: Swarm, certificate: string): Promise<void> {
  try {
    if (await swarm.formed()) await swarm.cluster('certs.record', { certificate });
  } catch (error) {
    if (!isBeltError(error)) throw error;
    ctx.ui.warn(`the certificate is not written down in the cluster (${error.message}); it can be revoked by its serial number only`);
  }
}

async function revoke(ctx: Context, name: string | undefined): Promise<void> {
  if (name === undefined) throw new BeltError('usage', 'whose certificate shall be revoked?', { next: 'belt certs operator --revoke NAME' });
  const { files } = ctx.cluster();
  const isOwn = existsSync(files.operatorCertificate) && factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8'))).name === name;
  if (isOwn) await ctx.ui.confirm(`Revoke ${name}, whose certificate this command itself uses? belt certs operator makes another where the CA's key is.`);
  const { serials } = await withSwarm(ctx, ctx.cluster(), (swarm) => swarm.cluster('certs.revoke', { which: `operator:${name}` }));
  ctx.ui.report({ name, serials }, (ui) => ui.line(`${name}: ${serials.length === 0 ? 'nothing to revoke' : `revoked ${serials.join(', ')}`}`));
}
