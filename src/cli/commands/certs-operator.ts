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
    revoke: { type: 'boolean', default: false, describe: 'revoke the certificates of NAME, or the one with that serial number' },
  },
  examples: ['belt certs operator', 'belt certs operator alice --out /media/key/alice', 'belt certs operator --revoke alice'],
  async run(ctx, args) {
    if (args.out !== undefined && (args.revoke || args.name === undefined)) {
      throw new BeltError('usage', '--out is for the files of another operator', { next: 'belt certs operator NAME --out FOLDER' });
    }
    if (args.revoke) return revoke(ctx, args.name);
    const done = await withHands(ctx, async (hands, { files }) => {
      if (args.name !== undefined) return give(ctx, hands, args.name, path.resolve(ctx.ports.cwd, args.out ?? args.name));
      const { name } = factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8')));
      issueOperator(files, hands.authority, name, ctx.ports.now());
      return { name, folder: files.folder, certificate: readFileSync(files.operatorCertificate, 'utf8') };
    });
    const { name, folder, certificate } = done;
    const { serial, notAfter: until } = factsOf(readPem(certificate));
    const notAfter = new Date(until).toISOString();
    // Only now, where it is one's own with the new certificate: the one before may be revoked.
    const earlier = await withSwarm(ctx, ctx.cluster(), (swarm) => record(ctx, swarm, certificate, { name, serial }));
    ctx.ui.report({ name, folder, serial, notAfter, earlier }, (ui) => ui.line(`${name}: operator certificate in ${folder}, until ${minute(notAfter)}`));
    // Earlier ones are not revoked with it: whoever works with one has to be given the new one first.
    for (const one of earlier ?? []) {
      ctx.ui.note(`${name}: an earlier certificate is not revoked, and runs out ${minute(one.notAfter)}; to end it now: belt certs operator --revoke ${one.serial}`);
    }
  },
});

/** A time as tables show it. */
function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}

async function give(ctx: Context, hands: Hands, name: string, folder: string) {
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(name)) throw new BeltError('usage', `'${name}' cannot be an operator's name`, { next: 'use letters, digits, ".", "_" and "-"' });
  const { key, pem } = newKey();
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const issued = signKey(hands.authority, publicKey, { cluster: hands.cluster.id, role: 'operator', name }, { nowMs: ctx.ports.now() });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  replaceFileSync(path.join(folder, 'operator.key'), pem);
  replaceFileSync(path.join(folder, 'operator.crt'), issued.certificate);
  replaceFileSync(path.join(folder, 'ca.crt'), hands.roots);
  return { name, folder, certificate: issued.certificate };
}

interface Earlier {
  readonly serial: string;
  readonly notAfter: string;
}

/** Writes it down, so that it can be listed, and revoked by name, by others. Gives the operator's earlier certificates that hold, null where nobody can say. */
async function record(ctx: Context, swarm: Swarm, certificate: string, fresh: { readonly name: string; readonly serial: string }): Promise<Earlier[] | null> {
  try {
    if (!(await swarm.formed())) return null;
    await swarm.cluster('certs.record', { certificate });
    const now = new Date(ctx.ports.now()).toISOString();
    const good = (await listOperators(swarm)).filter(({ name, notAfter, revokedAt, caDropped }) => name === fresh.name && revokedAt === null && !caDropped && notAfter > now);
    return good.flatMap(({ serial, notAfter }) => (serial === fresh.serial ? [] : [{ serial, notAfter }]));
  } catch (error) {
    if (!isBeltError(error)) throw error;
    ctx.ui.warn(`the certificate is not written down in the cluster (${error.message}): until it runs out only belt certs rotate ends it`);
    return null;
  }
}

async function listOperators(swarm: Swarm) {
  return (await swarm.cluster('certs.list', {})).certificates.filter(({ role }) => role === 'operator');
}

async function revoke(ctx: Context, which: string | undefined): Promise<void> {
  if (which === undefined) throw new BeltError('usage', 'whose certificate shall be revoked?', { next: 'belt certs operator --revoke NAME' });
  const { files } = ctx.cluster();
  const own = existsSync(files.operatorCertificate) ? factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8'))) : null;
  if (own !== null && [own.name, own.serial].includes(which)) {
    await ctx.ui.confirm(`Revoke ${which}, whose certificate this command itself uses? belt certs operator makes another where the CA's key is.`);
  }
  const { serials } = await withSwarm(ctx, ctx.cluster(), async (swarm) => {
    const operators = await listOperators(swarm);
    const isName = operators.some(({ name }) => name === which);
    // A slip of the finger must not look like a certificate that is out of the world.
    if (!isName && !operators.some(({ serial }) => serial === which)) {
      throw new BeltError('failed', `no operator has the name, and no operator's certificate the serial number, ${which}`, { next: 'belt certs ls' });
    }
    return swarm.cluster('certs.revoke', { which: isName ? `operator:${which}` : which });
  });
  ctx.ui.report({ name: which, serials }, (ui) => ui.line(`${which}: ${serials.length === 0 ? 'nothing to revoke' : `revoked ${serials.join(', ')}`}`));
}
