/** `belt create SIZE RANGE…`: machines in bulk. */
import { randomBytes } from 'node:crypto';

import { BeltError, EXIT, type Outcome } from '../../errors.ts';
import { clusterPublicKey } from '../../inventory/cluster.ts';
import { awaitStatus } from '../../provision/await-status.ts';
import { destroyMachines } from '../../provision/bulk.ts';
import { executeCreate, prepareCreate, record, refuseProblems, type CreateDeps } from '../../provision/create.ts';
import { planCreate, type CreateAsk, type CreatePlan } from '../../provision/create-plan.ts';
import type { Driver, Machine, OrderedMachine } from '../../provision/driver.ts';
import { driversInPlay, nameOfDown } from '../../provision/fleet.ts';
import { resolveSize } from '../../provision/sizes.ts';
import { compressNames } from '../../range/compress.ts';
import { dealOut } from '../../topology/placement.ts';
import { parseTopology } from '../../topology/parse.ts';
import { outcomeError } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { parseDuration } from '../duration.ts';
import { MACHINE_COLUMNS, machineDocument, machineRow } from '../machine-table.ts';
import { readRanges } from '../ranges.ts';
import { imageOf } from '../snapshots.ts';
import { estimateOf, leastTime, pricesOf, showPlan } from '../show-plan.ts';

export const command = defineCommand({
  positionals: { size: 'one', ranges: 'many' },
  options: {
    region: { type: 'string', requiresArg: true, describe: 'regions, REGION[/ZONE][,…]; machines are dealt out in turn' },
    topology: { type: 'string', requiresArg: true, describe: 'spread by a layout such as 5/3 instead of in turn' },
    image: { type: 'string', requiresArg: true, describe: "the cloud's name of an image, or a snapshot MACHINE@LABEL" },
    spot: { type: 'boolean', default: false, describe: 'interruptible capacity where the cloud has it' },
    wait: { type: 'boolean', default: true, describe: 'wait until the machines are active; --no-wait ends when they are asked for' },
    timeout: { type: 'string', default: '10m', requiresArg: true, describe: 'how long to wait' },
    rollback: { type: 'boolean', default: false, describe: 'when some cannot be made, remove what this run made' },
    'dry-run': { type: 'boolean', default: false, describe: 'show what would be done' },
  },
  examples: ["belt create 8gb 'mg[0:4]' --region sgp1,nyc3,fra1", "belt create 512mb 'node[1:100]'"],
  async run(ctx, args) {
    const names = readRanges(ctx, args.ranges);
    const timeoutMs = parseDuration(args.timeout, 'timeout');
    const topology = args.topology === undefined ? null : parseTopology(args.topology);
    const driver = await ctx.driver();
    const settings = await ctx.settings();
    const options = await ctx.driverOptions(driver.name, settings);
    const places = readRegions(args.region ?? String(settings.top.region?.value ?? options['region'] ?? driver.name));
    const dealt = dealOut(names.length, places, topology);
    const machines: OrderedMachine[] = names.map((name, at) => place(name, dealt[at] ?? ''));
    const size = resolveSize(await driver.types(ctx.signal), args.size, [...new Set(machines.map((machine) => machine.region))]);
    const ask: CreateAsk = { driver: driver.name, machines, type: size.type, memoryMb: size.memoryMb, image: await imageOf(ctx, driver.name, args.image ?? (settings.top.image?.value as string | undefined) ?? null, machines), spot: args.spot };
    const newId = (): string => randomBytes(16).toString('hex');
    const estimate = (plan: CreatePlan) => estimateOf(driver.name, options, plan.orders.flatMap((order) => order.machines));
    const dryRun = async (plan: CreatePlan): Promise<number> => {
      const prices = await pricesOf(ctx, driver.name, args.spot, [size], machines.map(({ region }) => region));
      return showPlan(ctx, plan, size, await estimate(plan), prices);
    };
    if (args['dry-run'] && !ctx.cluster().exists) {
      // Who only asks gets no cluster: nothing of it can be there.
      await refuseProblems(driver, ctx.signal);
      const plan = planCreate(ask, { machines: new Map(), orders: [], newId: newId(), nowMs: ctx.ports.now() });
      return dryRun(plan);
    }
    return ctx.change(async ({ store, files, tag }) => {
      const others = driversInPlay(store.state).filter((name) => name !== driver.name);
      const deps: CreateDeps = {
        store, tag, driver, otherDrivers: await ctx.drivers(others),
        sshPublicKeys: [clusterPublicKey(files), ...((settings.top.ssh_keys?.value as string[] | undefined) ?? [])],
        onDown: (down) => ctx.ui.warn(`${nameOfDown(down)} does not answer, its machines are taken to be as last seen: ${down.error.message}`),
        newId, now: ctx.ports.now, signal: ctx.signal,
      };
      const plan = await ctx.ui.progress('looking at what is there', null, () => prepareCreate(ask, deps));
      if (args['dry-run']) return dryRun(plan);
      return carryOut(ctx, names, plan, deps, { size: size.type, timeoutMs, wait: args.wait, rollback: args.rollback, least: leastTime(await estimate(plan)) });
    });
  },
});

/** `sgp1,nyc3/a` → its parts. Throws `usage`. */
function readRegions(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim());
  const wrong = parts.find((part) => !/^[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9-]+)?$/.test(part));
  if (wrong !== undefined) throw new BeltError('usage', `--region: '${wrong}' is no region`, { next: 'write --region sgp1,nyc3 or --region us-east-1/us-east-1a' });
  return parts;
}

function place(name: string, dealt: string): OrderedMachine {
  const [region = '', zone] = dealt.split('/');
  return { name, region, zone: zone ?? null };
}

interface Way {
  /** The type that was asked for. */
  readonly size: string;
  readonly timeoutMs: number;
  readonly wait: boolean;
  readonly rollback: boolean;
  /** How long it must take, as a sentence's part. */
  readonly least: string | null;
}

async function carryOut(ctx: Context, names: readonly string[], plan: CreatePlan, deps: CreateDeps, way: Way): Promise<number> {
  const { store, driver } = deps;
  for (const [size, group] of Map.groupBy(plan.existing, (machine) => machine.size)) {
    ctx.ui.note(`${compressNames(group.map((machine) => machine.name))}: there already${size === way.size ? '' : ` as ${size}`}, left alone`);
  }
  for (const order of plan.orders.filter((one) => one.resumed)) ctx.ui.note(`going on with the create of ${order.askedAt}: ${compressNames(order.machines.map((machine) => machine.name))}`);
  const total = plan.orders.reduce((sum, order) => sum + order.machines.length, 0);
  const made = await ctx.ui.progress(`creating on ${driver.name}`, total, (report) => {
    report({ note: way.least ?? '' });
    return executeCreate(plan, deps, (done, failed) => report({ done, failed }));
  });
  const failure = outcomeError(made, 'made');
  if (failure !== null && way.rollback) return rollBack(ctx, deps, made, failure);
  const fresh = made.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
  const expected = [...fresh, ...plan.existing.filter((machine) => machine.driver === driver.name && machine.status === 'new')];
  const waited = way.wait && !ctx.signal.aborted ? await waitActive(ctx, deps, driver, expected, way.timeoutMs) : [];
  // Where nothing is there, what failed says it all.
  if (failure === null || ctx.ui.json || names.some((name) => store.state.machines[name] !== undefined)) show(ctx, names, store.state.machines);
  ctx.signal.throwIfAborted();
  if (failure !== null) throw made.length < names.length && failure.code === 'failed' ? new BeltError('partly', failure.message, { next: failure.next }) : failure;
  return waitFailure(waited);
}

/** Waits and keeps what is seen. */
async function waitActive(ctx: Context, deps: CreateDeps, driver: Driver, machines: readonly Machine[], timeoutMs: number): Promise<Outcome<Machine>[]> {
  const names = machines.map((machine) => machine.name);
  const isActive = machines.every((machine) => machine.status === 'active' && (machine.publicIpv4 ?? machine.privateIpv4) !== null);
  if (names.length === 0 || isActive) return [];
  return ctx.ui.progress('waiting until active', names.length, (report) =>
    awaitStatus({
      driver, tag: deps.tag, names, wanted: 'active', timeoutMs, signal: ctx.signal,
      onSeen: (seen, done, failed) => {
        report({ done, failed });
        deps.store.change((state) => seen.forEach((machine) => record(state, machine))).catch(() => undefined);
      },
    }),
  );
}

/** Machines that are late are a timeout; machines that failed make the run partly or wholly failed. */
function waitFailure(waited: readonly Outcome<Machine>[]): number {
  const error = outcomeError(waited, 'active in time');
  if (error === null) return EXIT.done;
  const isLate = waited.some((outcome) => !outcome.ok && outcome.error.code === 'timeout') && waited.every((outcome) => outcome.ok || outcome.error.code === 'timeout');
  throw isLate ? new BeltError('timeout', error.message, { next: 'belt status --wait active=N, or belt ls' }) : error;
}

async function rollBack(ctx: Context, deps: CreateDeps, made: readonly Outcome<Machine>[], failure: BeltError): Promise<never> {
  const fresh = made.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
  const removed = await ctx.ui.progress('rolling back', fresh.length, () => destroyMachines(deps.store, fresh, (name) => ctx.driver(name), deps.now, ctx.signal));
  const left = removed.filter((outcome) => !outcome.ok).length;
  const ending = left === 0 ? `the ${fresh.length} that this run made were removed again` : `${left} of the ${fresh.length} that this run made could not be removed again`;
  throw new BeltError(left === 0 ? 'failed' : 'partly', `${failure.message}\n${ending}`, { next: left === 0 ? failure.next : 'belt doctor' });
}

function show(ctx: Context, names: readonly string[], machines: Readonly<Record<string, Machine>>): void {
  const shown = names.flatMap((name) => machines[name] ?? []);
  ctx.ui.report(shown.map(machineDocument), (ui) => ui.table(MACHINE_COLUMNS, shown.map(machineRow)));
}
