/** `belt swarm rebuild`: managers are gone for good; the best survivor goes on and everybody reachable comes back to it. */
import { setTimeout as sleep } from 'node:timers/promises';

import { compressNames } from '../../range/compress.ts';
import { planRebuild, rebuildSwarm } from '../../swarm/rebuild.ts';
import { isElecting } from '../../swarm/survey.ts';
import { noSwarm } from '../../swarm/swarm.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

/** How often, and how many times, managers that have a quorum are looked at before they are held to agree on no leader. */
const LOOKS = { everyMs: 500, most: 6 } as const;

export const command = defineCommand({
  positionals: {},
  options: {
    from: { type: 'string', requiresArg: true, describe: 'the manager to go on from, instead of the one that knows most' },
    managers: { type: 'string', requiresArg: true, describe: 'machines that become managers in place of the lost ones' },
    force: { type: 'boolean', default: false, describe: 'reform although there is a quorum: from --from, or where it agrees on no leader' },
  },
  examples: ["belt swarm rebuild --yes --managers 'mg[5:7]'", 'belt swarm rebuild --from mg3'],
  async run(ctx, args) {
    const names = args.managers === undefined ? [] : readRanges(ctx, [args.managers]);
    const rebuilt = await withHands(ctx, async (hands, { store }) => {
      const replacements = await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, names);
      const byName = new Map(Object.entries(store.state.machines));
      const plan = await ctx.ui.progress('asking the managers', null, async () => {
        const answers = await hands.swarm.healths([...byName.keys()], 2000);
        let survey = await hands.swarm.census();
        for (let looks = 0; isElecting(survey) && !args.force && looks < LOOKS.most; looks += 1) {
          await sleep(LOOKS.everyMs, undefined, { signal: ctx.signal });
          hands.swarm.forgetSurvey();
          survey = await hands.swarm.census();
        }
        if (survey.voters.length === 0 && hands.swarm.book.bootstrapped.length === 0 && Object.keys(store.state.hostKeys).length === 0) throw noSwarm();
        return planRebuild({ answers, survey, machines: new Set(byName.keys()), from: args.from ?? null, force: args.force, replacements: names });
      });
      for (const { machine, raft } of plan.survivors) ctx.ui.note(`${machine}: epoch ${raft.epoch}, term ${raft.term}, committed ${raft.commitIndex}, log to ${raft.lastIndex}`);
      if (plan.reform) await ctx.ui.confirm(`Rebuild the swarm from ${plan.survivor.machine}, without ${lostManagers(plan.survivor.raft.members.map(({ name }) => name), plan.survivors.map(({ machine }) => machine))}?`);
      return ctx.ui.progress('rebuild', plan.rejoin.length, (report) => rebuildSwarm(hands, plan, replacements, byName, report));
    });
    const { reformed, warnings, absent } = rebuilt;
    const shown = (outcomes: typeof rebuilt.rejoined) => outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, error: outcome.ok ? null : outcome.error.toJSON() }));
    ctx.ui.report({ survivor: rebuilt.survivor, reformed, epoch: rebuilt.epoch, rejoined: shown(rebuilt.rejoined), replaced: shown(rebuilt.replaced), removed: rebuilt.removed, absent, warnings }, (ui) => {
      ui.line(reformed ? `${rebuilt.survivor} made the swarm anew, with everything it knew` : `the swarm has its quorum, led by ${rebuilt.survivor}: nothing to reform`);
      for (const outcome of [...rebuilt.rejoined]) if (outcome.ok) ui.line(`${outcome.name}: back as a ${outcome.value}`);
      for (const outcome of rebuilt.replaced) if (outcome.ok) ui.line(`${outcome.name}: ${outcome.value}`);
      if (rebuilt.removed.length > 0) ui.line(`removed: ${compressNames(rebuilt.removed)}`);
    });
    for (const warning of warnings) ctx.ui.warn(warning);
    if (absent.length > 0) ctx.ui.warn(`${compressNames(absent)} did not answer and so missed the rebuild: managers among them come back by themselves once they run`);
    const error = outcomeError([...rebuilt.rejoined, ...rebuilt.replaced], 'brought back');
    if (error !== null) throw error;
  },
});

function lostManagers(members: readonly string[], survivors: readonly string[]): string {
  const lost = members.filter((name) => !survivors.includes(name));
  return lost.length === 0 ? 'any other manager until it has come back' : compressNames(lost);
}
