/** `belt swarm status`: who leads, what Raft knows, what may be lost. */
import type { CallResult } from '../../swarm-agent/api/calls.ts';
import type { Answer } from '../../swarm/survey.ts';
import type { Column } from '../../ui/table.ts';
import { defineCommand } from '../command.ts';
import { expiryWarnings } from '../expiry.ts';
import { withSwarm } from '../swarm-access.ts';

type Status = CallResult<'cluster.status'>;

const COLUMNS: readonly Column[] = [
  { heading: 'MANAGER' }, { heading: 'STATUS' }, { heading: 'DATACENTER' }, { heading: 'MATCH', numeric: true }, { heading: 'LAG', numeric: true }, { heading: 'RTT', numeric: true }, { heading: 'CONTACT', numeric: true },
];

export const command = defineCommand({
  positionals: {},
  options: {},
  examples: ['belt swarm status', 'belt swarm status --json'],
  async run(ctx) {
    const cluster = ctx.cluster();
    const { status, answers } = await withSwarm(ctx, cluster, async (swarm) => {
      const known = await swarm.cluster('cluster.status', {});
      return { status: known, answers: await swarm.healths(known.managers.map(({ name }) => name)) };
    });
    const warnings = [...status.warnings, ...problemsOf(answers), ...expiryWarnings(cluster.files, ctx.ports.now())];
    const { leader, term, managers, workers, quorum, reachable, tolerates, raft } = status;
    ctx.ui.report({ leader, term, managers, workers, quorum, reachable, tolerates, warnings, raft }, (ui) => {
      const voters = managers.filter(({ voter }) => voter).length;
      ui.line(`leader ${leader ?? 'none'}, term ${term}; ${reachable} of ${voters} managers reachable, ${quorum} needed; ${workers.ready} of ${workers.total} workers ready`);
      ui.line(`survives the loss of ${tolerates.nodes} more ${tolerates.nodes === 1 ? 'manager' : 'managers'}${tolerates.datacenters.length === 0 ? '' : `, or of any one datacenter of ${tolerates.datacenters.join(', ')}`}`);
      ui.line(`log ${raft.logBytes === null ? '?' : `${(raft.logBytes / 1024).toFixed(0)} KB`}, committed ${raft.commitIndex}, applied ${raft.appliedIndex}, snapshot at ${raft.snapshotIndex}${raft.snapshotAgeMs === null ? '' : ` (${Math.round(raft.snapshotAgeMs / 1000)} s old)`}`);
      ui.line('');
      ui.table(COLUMNS, managers.map(row));
      for (const warning of warnings) ui.warn(warning);
    });
  },
});

/** What the managers' own agents say is wrong: a manager that Raft cannot reach may answer here, and tell why. */
function problemsOf(answers: readonly Answer[]): string[] {
  return answers.flatMap(({ machine, health }) => (health?.problems ?? []).map((problem) => `${machine}: ${problem}`));
}

function row({ name, status, voter, datacenter, matchIndex, lag, rttMs, lastContactMs }: Status['managers'][number]): string[] {
  const ms = (value: number | null): string => (value === null ? '' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
  return [name, voter ? status : `${status}, catching up`, datacenter, String(matchIndex ?? ''), String(lag ?? ''), ms(rttMs), ms(lastContactMs)];
}
