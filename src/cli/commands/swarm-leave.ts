/** `belt swarm leave RANGE`: nodes become plain machines again. */
import { BeltError } from '../../errors.ts';
import { compressNames } from '../../range/compress.ts';
import { leaveSwarm } from '../../swarm/leave.ts';
import { guardLoss } from '../../swarm/roles.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { readRanges } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: { force: { type: 'boolean', default: false, describe: 'even if a quorum is lost; also nodes that do not answer' } },
  examples: ["belt swarm leave --yes 'node[1:3]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges, { refuseFiles: { force: args.force } });
    const outcomes = await withHands(ctx, async ({ swarm }, { store }) => {
      const known = await knownNames(swarm, Object.keys(store.state.machines));
      const absent = names.filter((name) => !known.has(name));
      if (absent.length > 0) throw new BeltError('unknown_machine', `neither a machine nor a node is called ${compressNames(absent)}; nothing was done`, { next: 'belt swarm nodes' });
      await guardLoss(swarm, 'leave', names, args.force);
      await ctx.ui.confirm(`Take ${compressNames(names)} out of the swarm?`);
      return ctx.ui.progress('leaving', names.length, (report) => leaveSwarm(swarm, names, { force: args.force, signal: ctx.signal }, report));
    });
    const document = outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, changed: outcome.ok ? outcome.value.changed : null, note: outcome.ok ? outcome.value.note : null, error: outcome.ok ? null : outcome.error.toJSON() }));
    ctx.ui.report(document, (ui) => {
      for (const { name, note } of document) if (note !== null) ui.line(`${name}: ${note}`);
    });
    const error = outcomeError(outcomes, 'taken out of the swarm');
    if (error !== null) throw error;
  },
});

/** Names of machines, and of nodes whose machines are gone. */
async function knownNames(swarm: Parameters<Parameters<typeof withHands>[1]>[0]['swarm'], machines: readonly string[]): Promise<Set<string>> {
  const nodes = await swarm.cluster('cluster.nodes', {}).then(({ nodes: rows }) => rows.map(({ name }) => name), () => [] as string[]);
  return new Set([...machines, ...nodes]);
}
