/** `belt swarm availability active|pause|drain RANGE`: whether nodes are given work. */
import { BeltError } from '../../errors.ts';
import { requireNodes } from '../../swarm/roles.ts';
import { runAll } from '../../provision/run-all.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { readRanges } from '../ranges.ts';
import { withSwarm } from '../swarm-access.ts';

const VALUES = ['active', 'pause', 'drain'] as const;
type Availability = (typeof VALUES)[number];

export const command = defineCommand({
  positionals: { availability: 'one', ranges: 'many' },
  options: {},
  examples: ["belt swarm availability drain 'mg[0:4]'"],
  async run(ctx, args) {
    const availability = VALUES.find((value) => value === args.availability);
    if (availability === undefined) throw new BeltError('usage', `'${args.availability}' is no availability`, { next: 'belt swarm availability active|pause|drain RANGE…' });
    const names = readRanges(ctx, args.ranges);
    const outcomes = await withSwarm(ctx, ctx.cluster(), async (swarm) => {
      await requireNodes(swarm, names);
      return runAll(names, (name) => set(swarm, name, availability), { limit: 20, signal: ctx.signal, nameOf: (name) => name });
    });
    const document = outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, changed: outcome.ok ? outcome.value : null, error: outcome.ok ? null : outcome.error.toJSON() }));
    ctx.ui.report(document, (ui) => {
      for (const { name, ok, changed } of document) if (ok) ui.line(`${name}: ${changed === true ? availability : `${availability} already`}`);
    });
    const error = outcomeError(outcomes, `set to ${availability}`);
    if (error !== null) throw error;
  },
});

async function set(swarm: Parameters<Parameters<typeof withSwarm>[2]>[0], node: string, availability: Availability): Promise<boolean> {
  return (await swarm.cluster('nodes.availability', { node, availability })).changed;
}
