/** What `start`, `stop`, `kill` and `pause` share: select, guard, act, look again, say how it went. */
import type { Outcome } from '../errors.ts';
import { onMachines } from '../provision/bulk.ts';
import { record } from '../provision/create.ts';
import type { PowerAction } from '../provision/driver.ts';
import { sweep } from '../provision/fleet.ts';
import { outcomeError } from '../ui/error-text.ts';
import type { Context, GuardedAction } from './context.ts';
import { readRanges, requireMachines } from './ranges.ts';

export interface PowerVerb {
  readonly action: PowerAction;
  /** As the guard knows it; null where nothing can be lost. */
  readonly guarded: GuardedAction | null;
  /** `stopping`, for progress. */
  readonly doing: string;
  /** `stopped`, for results. */
  readonly did: string;
}

/** Runs the verb on the machines of `ranges`. Throws `unknown_machine` or `refused` before anything is done, `partly` or `failed` after. */
export async function powerMachines(ctx: Context, ranges: readonly string[], verb: PowerVerb, force: boolean): Promise<void> {
  const names = readRanges(ctx, ranges);
  const cluster = ctx.cluster();
  await requireMachines(ctx, cluster, names);
  const outcomes = await ctx.change(async ({ store, tag }) => {
    const machines = await requireMachines(ctx, { ...cluster, state: store.state }, names);
    // With the lock: of two belts that each take a manager the second must see what the first has done.
    if (verb.guarded !== null) await ctx.guard(cluster, names, verb.guarded, force);
    const done = await ctx.ui.progress(verb.doing, machines.length, () =>
      onMachines(machines, (name) => ctx.driver(name), (driver, ids) => driver.power(ids, verb.action, ctx.signal)));
    // Addresses change over a power cycle on some clouds; what cannot be listed now is listed by the next command.
    const drivers = await ctx.drivers(machines.map((machine) => machine.driver));
    const seen = (await sweep(drivers, tag, ctx.signal)).flatMap((one) => one.machines).filter((machine) => names.includes(machine.name));
    await store.change((state) => seen.forEach((machine) => record(state, machine)));
    return done;
  });
  reportOutcomes(ctx, outcomes, verb.did);
}

/** A line a machine; ends in the error that the failures among them make. */
export function reportOutcomes(ctx: Context, outcomes: readonly Outcome[], did: string): void {
  const document = outcomes.map((outcome) => ({ name: outcome.name, ok: outcome.ok, note: outcome.ok ? (outcome.note ?? null) : null, error: outcome.ok ? null : outcome.error.toJSON() }));
  ctx.ui.report(document, (ui) => {
    for (const outcome of outcomes) if (outcome.ok) ui.line(`${outcome.name}: ${outcome.note ?? did}`);
  });
  const error = outcomeError(outcomes, did);
  if (error !== null) throw error;
}
