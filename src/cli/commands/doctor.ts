/** `belt doctor`: machines of ours that no state knows, records that no machine matches, several machines of one name; `--adopt` and `--remove` mend. */
import { EXIT } from '../../errors.ts';
import { forget, record } from '../../provision/create.ts';
import { DRIVERS } from '../../../drivers/registry.ts';
import type { Machine } from '../../provision/driver.ts';
import { mergeFleet, sweep, type Fleet } from '../../provision/fleet.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import type { ClusterView, Context } from '../context.ts';
import { clusterDrivers } from '../ranges.ts';

export const command = defineCommand({
  positionals: {},
  options: {
    adopt: { type: 'boolean', default: false, describe: 'take in unknown machines, forget records without a machine' },
    remove: { type: 'boolean', default: false, describe: 'destroy unknown and doubled machines, forget records without a machine' },
  },
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const fleet = await ctx.ui.progress('examining', null, () => examine(ctx, cluster));
    const findings = listFindings(fleet);
    ctx.ui.report(findings, (ui) => {
      if (findings.length === 0) ui.line(`cluster ${cluster.name}: ${fleet.machines.length} machines, nothing amiss`);
      else ui.table([{ heading: 'FINDING' }, { heading: 'NAME' }, { heading: 'DRIVER' }, { heading: 'ID' }, { heading: 'WAY OUT' }], findings.map((one) => [one.finding, one.name ?? '', one.driver, one.id ?? '', one.next]));
    });
    if (findings.length === 0) return EXIT.done;
    if (!args.adopt && !args.remove) return EXIT.failed;
    if (args.remove) await ctx.ui.confirm(`Destroy ${fleet.strangers.length + fleet.doubles.length} machines that nobody knows?`);
    const { down } = await mend(ctx, fleet, args.remove);
    return down.length > 0 ? EXIT.partly : EXIT.done;
  },
});

interface Finding {
  readonly finding: 'unknown machine' | 'missing machine' | 'doubled name' | 'cloud is down';
  readonly name: string | null;
  readonly driver: string;
  readonly id: string | null;
  readonly next: string;
}

async function examine(ctx: Context, cluster: ClusterView): Promise<Fleet> {
  if (!cluster.exists) return mergeFleet(cluster.state, []);
  // Besides the drivers in play the configured one: after a damaged state was put aside nothing else is known.
  const drivers = new Map((await clusterDrivers(ctx, cluster)).map((driver) => [driver.name, driver]));
  const configured = (await ctx.settings()).driver;
  if (!drivers.has(configured) && Object.hasOwn(DRIVERS, configured)) drivers.set(configured, await ctx.driver(configured));
  return mergeFleet(cluster.state, await sweep([...drivers.values()], cluster.tag, ctx.signal));
}

function listFindings(fleet: Fleet): Finding[] {
  const doubled = new Set(fleet.doubles.map((machine) => machine.id));
  return [
    ...fleet.down.map(({ driver, region, error }): Finding => ({ finding: 'cloud is down', name: region, driver, id: null, next: error.message })),
    ...fleet.doubles.map(({ name, driver, id }): Finding => ({ finding: 'doubled name', name, driver, id, next: 'belt doctor --remove' })),
    ...fleet.strangers.filter((machine) => !doubled.has(machine.id)).map(({ name, driver, id }): Finding => ({ finding: 'unknown machine', name, driver, id, next: 'belt doctor --adopt, or --remove' })),
    ...fleet.missing.map(({ name, driver, id }): Finding => ({ finding: 'missing machine', name, driver, id, next: `belt doctor --adopt, or belt rm ${name}` })),
  ];
}

/** Mends what was found and still is so now that nobody else changes the cluster: what looked like a stranger may be what another belt was just making. */
async function mend(ctx: Context, found: Fleet, remove: boolean): Promise<Fleet> {
  return ctx.change(async ({ store }) => {
    const now = await examine(ctx, { ...ctx.cluster(), state: store.state });
    const both = (before: readonly Machine[], after: readonly Machine[]): Machine[] => after.filter(({ id }) => before.some((one) => one.id === id));
    const doubles = both(found.doubles, now.doubles);
    const strangers = both(found.strangers, now.strangers).filter(({ id }) => !doubles.some((one) => one.id === id));
    await store.change((state) => {
      for (const { name } of both(found.missing, now.missing)) forget(state, name);
      if (!remove) for (const machine of strangers) record(state, machine);
    });
    if (remove) {
      for (const machine of [...strangers, ...doubles]) {
        // One at a time under its own name: a double shares it with a machine that stays.
        const driver = await ctx.driver(machine.driver);
        const error = outcomeError((await driver.destroy([machine.id], ctx.signal)).map((outcome) => ({ ...outcome, name: machine.name })), 'removed');
        if (error !== null) throw error;
      }
    }
    return now;
  });
}
