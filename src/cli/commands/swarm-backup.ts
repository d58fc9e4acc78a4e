/** `belt swarm backup [FILE]`: what the cluster plane knows, in a file without secrets, for the day when no manager is left. */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';

import { BeltError } from '../../errors.ts';
import { replaceFile } from '../../inventory/atomic-file.ts';
import { encodeBackup } from '../../swarm/backup-file.ts';
import { hasQuorum, quorumError } from '../../swarm/survey.ts';
import { unpackBackup } from '../../swarm-agent/api/backup.ts';
import { defineCommand } from '../command.ts';
import { withSwarm } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { file: 'optional' },
  options: {},
  examples: ['belt swarm backup', 'belt swarm backup /mnt/safe/swarm2k.json'],
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const stamp = new Date(ctx.ports.now()).toISOString().replaceAll(/[:.]/g, '-');
    const file = args.file === undefined ? path.join(cluster.files.folder, 'backups', `${stamp}.json`) : path.resolve(ctx.ports.cwd, args.file);
    if (existsSync(file)) throw new BeltError('usage', `${file} is there already, and a backup replaces nothing`, { next: 'name another file' });
    const { backup, survey } = await withSwarm(ctx, cluster, async (swarm) => {
      const survey = await swarm.survey();
      if (survey.voters.length === 0) throw new BeltError('failed', 'the machines of this cluster form no swarm yet', { next: 'belt swarm form M/D RANGE' });
      // The leader knows all that was acknowledged; without one the manager that answers first is better than none.
      const from = survey.leader ?? survey.reachable[0];
      if (from === undefined) throw quorumError(survey, swarm.driverOf);
      return { backup: await unpackBackup((await swarm.node(from, 'node.backup', {}, { timeoutMs: 30_000 })).backup), survey };
    });
    if (args.file === undefined) mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    await replaceFile(file, encodeBackup(backup));
    const quorum = hasQuorum(survey) && survey.leader !== null;
    if (!quorum) ctx.ui.warn(`without a quorum this is what one manager last knew: ${quorumError(survey).message}`);
    const { epoch, index, takenAt, nodes } = backup;
    ctx.ui.report({ file, cluster: cluster.name, epoch, index, takenAt, nodes: nodes.length, quorum }, (ui) => ui.line(file));
  },
});
