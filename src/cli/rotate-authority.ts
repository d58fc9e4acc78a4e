/**
 * The operator's half of replacing the CA. The new one is on disk before the cluster hears of it; the operator trusts both from then on, changes to a
 * certificate of the new one when that signs, and drops the old one last. After a crash each part is found where it stands.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { createAuthority, exportKey, loadAuthority, readPem, type Authority } from '../certs/authority.ts';
import { factsOf, signedByOne, splitPem } from '../certs/identity.ts';
import { isBeltError } from '../errors.ts';
import { replaceFileSync } from '../inventory/atomic-file.ts';
import type { ClusterFiles } from '../inventory/cluster.ts';
import type { CallResult } from '../swarm-agent/api/calls.ts';
import type { Report } from '../swarm/operations.ts';
import { noSwarm } from '../swarm/swarm.ts';
import type { Context } from './context.ts';
import { CA_PASSPHRASE, issueOperator } from './new-cluster.ts';
import { withSwarm } from './swarm-access.ts';

type Status = CallResult<'ca.status'>;
const LOOK_MS = 300;
/** How long an election in between may take, ms. */
const ELECT_MS = 10_000;
/** How long another command's lock is waited for, ms. */
const LOCK_MS = 60_000;

/**
 * Rotates until every node has a certificate of the new CA, or `timeoutMs` is over: then what is still waited for comes back. The cluster is locked
 * only while files change, not while nodes are waited for: they may be ones that another command has to start.
 */
export async function rotateAuthority(ctx: Context, timeoutMs: number, report: Report): Promise<Status> {
  // A CA is made for nodes that will change over to it; without any, both would be believed and neither dropped.
  if (!nextFiles(ctx.cluster().files).every(existsSync) && !(await withSwarm(ctx, ctx.cluster(), (swarm) => swarm.formed()))) throw noSwarm();
  const next = await ctx.change(({ files, store }) => {
    const made = nextAuthority(ctx, files, store.state.cluster.id);
    trust(files, [...splitPem(readFileSync(files.caCertificate, 'utf8')), made.certificate]);
    return Promise.resolve(made);
  });
  const ask = <T>(act: Parameters<typeof withSwarm<T>>[2]): Promise<T> => asEither(ctx, next, () => withSwarm(ctx, ctx.cluster(), act));
  const deadline = performance.now() + timeoutMs;
  let answered = performance.now();
  let status = await ask((swarm) => swarm.cluster('ca.rotate', { certificate: next.certificate, key: exportKey(next) }));
  while (status.phase !== 'none' && performance.now() < deadline) {
    const waits = status.waiting.length === 0 ? 'dropping the old one' : `waiting for ${status.waiting.slice(0, 3).join(', ')}`;
    report({ done: status.renewed, total: status.total, note: status.phase === 'trust' ? 'making it known' : waits });
    if (status.phase !== 'trust') await changeOver(ctx, next);
    await sleep(LOOK_MS, undefined, { signal: ctx.signal });
    const seen = await ask((swarm) => swarm.cluster('ca.status', {})).catch((error: unknown) => {
      // While managers elect a leader nobody can say how far it is.
      if (!isBeltError(error, 'no_quorum') || performance.now() > answered + ELECT_MS) throw error;
      return null;
    });
    if (seen === null) continue;
    status = seen;
    answered = performance.now();
  }
  if (status.phase !== 'none') return status;
  await changeOver(ctx, next);
  await ask((swarm) => {
    swarm.book.dropCertificates();
    return swarm.recordOwn();
  });
  await briefly(ctx, ({ files }) => {
    trust(files, [next.certificate]);
    for (const file of nextFiles(files)) rmSync(file, { force: true });
  });
  return status;
}

/** Locks the cluster for a moment, after whoever holds it now. Rejects with `locked` where that takes longer than a command should. */
async function briefly(ctx: Context, act: (open: { readonly files: ClusterFiles }) => void): Promise<void> {
  const deadline = performance.now() + LOCK_MS;
  for (;;) {
    try {
      return await ctx.change((open) => Promise.resolve(act(open)));
    } catch (error) {
      if (!isBeltError(error, 'locked') || performance.now() > deadline) throw error;
      await sleep(LOOK_MS, undefined, { signal: ctx.signal });
    }
  }
}

/** The CA to come: the one a run before this has made, or a new one, its key on disk before its certificate. */
function nextAuthority(ctx: Context, files: ClusterFiles, clusterId: string): Authority {
  const passphrase = ctx.ports.env[CA_PASSPHRASE] || undefined;
  const [certificate, key] = nextFiles(files);
  if (existsSync(certificate) && existsSync(key)) return loadAuthority(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'), passphrase);
  const current = readPem(readFileSync(files.caCertificate, 'utf8'));
  const generation = Number(/CN=belt CA (\d+)/.exec(current.subject)?.[1] ?? 1) + 1;
  const next = createAuthority(clusterId, ctx.ports.now(), generation);
  replaceFileSync(key, exportKey(next, passphrase));
  replaceFileSync(certificate, next.certificate);
  return next;
}

function nextFiles(files: ClusterFiles): [certificate: string, key: string] {
  return [`${files.caCertificate}.next`, `${files.caKey}.next`];
}

/** The roots the operator's side trusts, the signing one first. */
function trust(files: ClusterFiles, roots: readonly string[]): void {
  const text = [...new Set(roots.map((root) => `${root.trim()}\n`))].join('');
  if (readFileSync(files.caCertificate, 'utf8') !== text) replaceFileSync(files.caCertificate, text);
}

/** From now on the new CA signs here too, and the operator's own certificate is of it. */
async function changeOver(ctx: Context, next: Authority): Promise<void> {
  if (holdsOne(ctx.cluster().files, next)) return;
  const passphrase = ctx.ports.env[CA_PASSPHRASE] || undefined;
  await briefly(ctx, ({ files }) => {
    if (holdsOne(files, next)) return;
    trust(files, [next.certificate, ...splitPem(readFileSync(files.caCertificate, 'utf8'))]);
    replaceFileSync(files.caKey, exportKey(next, passphrase));
    issueOperator(files, next, factsOf(readPem(readFileSync(files.operatorCertificate, 'utf8'))).name, ctx.ports.now());
  });
}

/** Whether the operator's certificate is of that CA. */
function holdsOne(files: ClusterFiles, next: Authority): boolean {
  return signedByOne(readPem(readFileSync(files.operatorCertificate, 'utf8')), [next.certificate]);
}

/** Asks with the certificate there is, and once more with one of the new CA: the old one may have been dropped between two looks. */
async function asEither<T>(ctx: Context, next: Authority, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!isBeltError(error, 'certificate') || holdsOne(ctx.cluster().files, next)) throw error;
    await changeOver(ctx, next);
    return ask();
  }
}
