/** `eval $(belt env NAME)`: points the plain docker client at the machine's agent, port 2376, with the operator's certificate. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { BeltError } from '../../errors.ts';
import { replaceFileSync } from '../../inventory/atomic-file.ts';
import { readCurrent } from '../../inventory/home.ts';
import { needBootstrapped, unbootstrapped } from '../../swarm/operations.ts';
import { defineCommand } from '../command.ts';
import type { ClusterView } from '../context.ts';
import { envLines, shellOf, SHELLS } from '../env-lines.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

/** Where agents speak Docker's API. */
const ENGINE_PORT = 2376;
const NAMES = ['DOCKER_TLS_VERIFY', 'DOCKER_HOST', 'DOCKER_CERT_PATH'] as const;

export const command = defineCommand({
  positionals: { name: 'optional' },
  options: {
    unset: { type: 'boolean', default: false, describe: 'take the variables away again' },
    shell: { type: 'string', choices: SHELLS, describe: 'the words of this shell instead of the one in SHELL', requiresArg: true },
  },
  examples: ['eval $(belt env mg0)', 'eval $(belt env --unset)'],
  async run(ctx, args) {
    const shell = args.shell ?? shellOf(ctx.ports.env['SHELL']);
    if (args.unset) {
      const variables = Object.fromEntries(NAMES.map((name) => [name, null]));
      return ctx.ui.report(variables, (ui) => envLines(shell, variables, 'belt env --unset').forEach((line) => ui.line(line)));
    }
    const cluster = ctx.cluster();
    const name = args.name ?? readCurrent(ctx.home).active[cluster.name];
    if (name === undefined) throw new BeltError('failed', `no machine of cluster ${cluster.name} is active`, { next: 'belt env NAME' });
    const names = readRanges(ctx, [name]);
    if (names.length !== 1) throw new BeltError('usage', `'${name}' names ${names.length} machines; docker talks to one`, { next: 'belt env NAME' });
    const [machine] = await requireMachines(ctx, cluster, names);
    if (machine === undefined) throw new BeltError('unknown_machine', `there is no machine ${name}`);
    if (machine.driver === 'local') throw new BeltError('no_engine', `no engine is installed on ${name}: machines of the driver local share this host`, { machine: name, next: 'belt create -d docker makes machines with an engine of their own' });
    await withHands(ctx, async (hands) => {
      if (unbootstrapped(hands, [machine]).length > 0) await ctx.ui.progress('bootstrap', 1, (report) => needBootstrapped(hands, [machine], report));
    });
    const variables = { DOCKER_TLS_VERIFY: '1', DOCKER_HOST: `tcp://${machine.publicIpv4 ?? machine.privateIpv4 ?? name}:${ENGINE_PORT}`, DOCKER_CERT_PATH: dockerFolder(cluster) };
    ctx.ui.report(variables, (ui) => envLines(shell, variables, `belt env ${name}`).forEach((line) => ui.line(line)));
  },
});

/** The operator's certificate under the names that docker looks for, made anew each time so that a renewed one counts. */
function dockerFolder({ files }: ClusterView): string {
  const folder = path.join(files.folder, 'docker');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [from, to] of [[files.caCertificate, 'ca.pem'], [files.operatorCertificate, 'cert.pem'], [files.operatorKey, 'key.pem']] as const) {
    replaceFileSync(path.join(folder, to), readFileSync(from, 'utf8'));
  }
  return folder;
}
