/** `belt doctor`: machines of ours that no state knows, records that no machine matches, half-built parts of the cloud; `--adopt` and `--remove` mend. */
import { EXIT } from '../../errors.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { act, amend, examine, type Finding, remedy, selectFindings, stillSo } from '../findings.ts';
import { forgettingDrivers } from '../ranges.ts';

export const command = defineCommand({
  positionals: { names: 'any' },
  options: {
    adopt: { type: 'boolean', default: false, describe: 'take in unknown machines, complete half-built parts, forget records without a machine' },
    remove: { type: 'boolean', default: false, describe: 'destroy unknown and doubled machines and unused parts, forget records without a machine' },
  },
  examples: ['belt doctor', 'belt doctor --adopt stray', 'belt doctor --remove --yes'],
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const { fleet, findings: all } = await ctx.ui.progress('examining', null, () => examine(ctx, cluster));
    const findings = selectFindings(all, args.names);
    ctx.ui.report(findings.map(({ document }) => document), (ui) => {
      if (findings.length === 0) ui.line(`cluster ${cluster.name}: ${fleet.machines.length} machines, nothing amiss`);
      else {
        ui.table(
          [{ heading: 'FINDING' }, { heading: 'NAME' }, { heading: 'DRIVER' }, { heading: 'ID' }, { heading: 'WAY OUT' }],
          findings.map(({ document: { finding, name, driver, id, region, next } }) => [finding, name ?? region ?? '', driver, id ?? '', next]),
        );
      }
    });
    if (findings.length === 0) return EXIT.done;
    if (!args.adopt && !args.remove) return EXIT.failed;
    const doing = findings.filter((finding) => remedy(finding, args.remove) !== null);
    if (args.remove && doing.some((finding) => remedy(finding, true) !== 'forget')) await ctx.ui.confirm(await question(ctx, doing));
    if (doing.length > 0) await mend(ctx, doing, args.remove);
    const left = findings.filter((finding) => remedy(finding, args.remove) === null && finding.about !== 'cloud').length;
    if (left > 0) ctx.ui.note(`${left} findings were left as they are: belt doctor ${args.remove ? '--adopt' : '--remove'}`);
    return doing.length < findings.length ? EXIT.partly : EXIT.done;
  },
});

async function question(ctx: Context, doing: readonly Finding[]): Promise<string> {
  const machines = doing.flatMap((finding) => (remedy(finding, true) === 'destroy' && 'machine' in finding ? [finding.machine] : []));
  const kept = await forgettingDrivers(ctx, machines);
  const hosts = machines.filter(({ driver }) => kept.has(driver)).length;
  const ours = machines.length - hosts;
  const parts = doing.filter((finding) => finding.about === 'part').length;
  const some = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
  const what = [
    ...(ours > 0 ? [`destroy ${some(ours, 'machine')} that nobody knows`] : []),
    ...(hosts > 0 ? [`forget ${some(hosts, 'host')} that nobody knows`] : []),
    ...(parts > 0 ? [`remove ${some(parts, 'part')} that no machine uses`] : []),
  ].join(' and ');
  return `${what.charAt(0).toUpperCase()}${what.slice(1)}?`;
}

/** Mends what was found and still is so now that nobody else changes the cluster: what looked like a stranger may be what another belt was just making. */
async function mend(ctx: Context, found: readonly Finding[], remove: boolean): Promise<void> {
  await ctx.change(async ({ store }) => {
    const cluster = { ...ctx.cluster(), state: store.state };
    const findings = stillSo(found, (await examine(ctx, cluster)).findings);
    await store.change((state) => amend(state, findings, remove));
    const error = outcomeError(await ctx.ui.progress('mending', findings.length, () => act(ctx, cluster, findings, remove)), 'mended');
    if (error !== null) throw error;
  });
}
