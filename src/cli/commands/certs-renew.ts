/** `belt certs renew RANGE`: new certificates over SSH, for agents that were off too long to fetch their own. */
import { renewCertificates } from '../../swarm/renew.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: { ranges: 'many' },
  options: {},
  examples: ["belt certs renew 'node[1:10]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges);
    const outcomes = await withHands(ctx, async (hands, { store }) => {
      const machines = await requireMachines(ctx, { ...ctx.cluster(), state: store.state }, names);
      return ctx.ui.progress('renewing', machines.length, (report) => renewCertificates(hands, machines, report));
    });
    const document = outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, notAfter: outcome.ok ? outcome.value.certificateExpires : null, error: outcome.ok ? null : outcome.error.toJSON() }));
    ctx.ui.report(document, (ui) => {
      for (const { name, ok, notAfter } of document) if (ok) ui.line(`${name}: renewed until ${notAfter?.slice(0, 16).replace('T', ' ') ?? '?'}`);
    });
    const error = outcomeError(outcomes, 'renewed');
    if (error !== null) throw error;
  },
});
