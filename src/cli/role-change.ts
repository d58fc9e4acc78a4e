/** What `swarm promote` and `swarm demote` share. */
import { changeRoles, guardLoss, requireNodes, type RoleChange } from '../swarm/roles.ts';
import { outcomeError } from '../ui/error-text.ts';
import type { Context } from './context.ts';
import { readRanges } from './ranges.ts';
import { withSwarm } from './swarm-access.ts';

/** Changes the roles of the nodes of `ranges`. Throws `refused` before anything is done where a quorum would be lost. */
export async function runRoleChange(ctx: Context, change: RoleChange, ranges: readonly string[], force: boolean): Promise<void> {
  const names = readRanges(ctx, ranges);
  const role = change === 'promote' ? 'manager' : 'worker';
  const outcomes = await withSwarm(ctx, ctx.cluster(), async (swarm) => {
    await requireNodes(swarm, names);
    if (change === 'demote') await guardLoss(swarm, 'demote', names, force);
    return ctx.ui.progress(change === 'promote' ? 'promoting' : 'demoting', names.length, (report) => changeRoles(swarm, change, names, force, ctx.signal, report));
  });
  const document = outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, changed: outcome.ok ? outcome.value : null, error: outcome.ok ? null : outcome.error.toJSON() }));
  ctx.ui.report(document, (ui) => {
    for (const { name, ok, changed } of document) if (ok) ui.line(`${name}: ${changed === true ? 'is now' : 'was already'} a ${role}`);
  });
  const error = outcomeError(outcomes, `made ${role}s`);
  if (error !== null) throw error;
}
