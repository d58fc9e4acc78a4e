/**
 * `belt create` of many machines, killed with SIGKILL at moments that chance chooses, and run again each time; at the end exactly the machines
 * that were asked for exist. A moment is a call of the cloud's API: as it arrives, or a little later, the process is gone; the call itself is
 * carried out, as a cloud would do.
 */
import { startAzure } from '../fakes/azure/service.ts';
import type { Resource } from '../fakes/azure/state.ts';
import { startDigitalOcean } from '../fakes/digitalocean/service.ts';
import { startEc2 } from '../fakes/ec2/service.ts';
import type { RunningFake } from '../fakes/http-fake.ts';
import { Random } from '../sim/random.ts';
import { azureLine, digitalOceanLine, ec2Line } from './cloud-lines.ts';
import type { CommandLine } from './command-line.ts';

export interface CrashPlan {
  readonly machines: number;
  readonly kills: number;
  readonly seed: number;
  /** How many times as fast as the real ones the limits are, the cloud's and the driver's alike. */
  readonly scale: number;
  readonly log: (line: string) => void;
}

export interface CrashResult {
  /** Machines on the cloud by its own books, doubles and all. */
  readonly there: number;
  /** Those of them whose name is settled. */
  readonly made: number;
  /** Names of what `belt ls` shows as active. */
  readonly names: readonly string[];
  /** What `belt doctor` says, and how it ended. */
  readonly doctor: string;
  /** Names that the state file knows. */
  readonly known: readonly string[];
  /** Orders that the state file still has open. */
  readonly open: number;
  /** Kills that met a running belt. */
  readonly killed: number;
  readonly exit: number | null;
  readonly stderr: string;
  readonly throttled: number;
  readonly calls: ReadonlyMap<string, number>;
  readonly violations: readonly string[];
}

export interface Cloud {
  readonly fake: RunningFake;
  readonly line: CommandLine;
  readonly size: string;
  /** The operation that makes machines, and how many it makes at most. */
  readonly makes: RegExp;
  readonly batch: number;
  readonly count: () => number;
  /** How many of them belt may call made: those whose place and name are settled. */
  readonly made: () => number;
  readonly throttled: () => number;
  readonly violations: readonly string[];
}

const BOOT_MS = 1_000;

export const CLOUDS: Readonly<Record<string, (scale: number) => Promise<Cloud>>> = {
  async digitalocean(scale) {
    const limits = { perMinute: 250 * scale, perHour: 5_000 * scale };
    const fake = await startDigitalOcean({ token: 'right', bootMs: BOOT_MS, tagLagMs: 200, ...limits });
    const line = digitalOceanLine(fake, `  calls_per_minute: ${limits.perMinute}\n  calls_per_hour: ${limits.perHour}\n`);
    return { fake, line, size: '1gb', makes: /^droplets_create$/, batch: 10, count: () => fake.account.droplets.size, made: () => fake.account.droplets.size, throttled: fake.throttled, violations: fake.violations };
  },
  async ec2(scale) {
    const fake = await startEc2({ bootMs: BOOT_MS, lagMs: 2_000, limitScale: scale });
    const line = ec2Line(fake, `  limit_scale: ${scale}\n`);
    return { fake, line, size: '512mb', makes: /^RunInstances$/, batch: 100, count: () => fake.region('eu-west-1').alive(), made: () => fake.region('eu-west-1').alive(), throttled: fake.throttled, violations: [] };
  },
  async azure(scale) {
    const fake = await startAzure({ bootMs: BOOT_MS, limitScale: scale });
    const line = azureLine(fake, `  limit_scale: ${scale}\n`);
    const machines = (): Resource[] => fake.subscription.list(null, 'Microsoft.Compute/virtualMachines');
    const isNamed = (machine: Resource): boolean => (machine.body['tags'] as Record<string, string> | undefined)?.['belt.name'] !== undefined;
    return { fake, line, size: '1gb', makes: /^PUT virtualMachineScaleSets$/, batch: 1000, count: () => machines().length, made: () => machines().filter(isNamed).length, throttled: fake.throttled, violations: fake.violations };
  },
};

/** Runs the plan on the fake `cloud` and tells what is there afterwards. */
export async function crash(cloud: string, plan: CrashPlan): Promise<CrashResult> {
  const stage = await (CLOUDS[cloud] as (scale: number) => Promise<Cloud>)(plan.scale);
  const random = new Random(plan.seed, cloud);
  const words = ['create', stage.size, `node[1:${plan.machines}]`, '--timeout', '20m'];
  try {
    let killed = 0;
    for (let n = 1; n <= plan.kills; n += 1) {
      const running = stage.line.start(...words);
      const moment = chooseMoment(stage, random, (plan.machines - stage.count()) / (plan.kills - n + 1));
      const delayMs = random.chance(0.5) ? 0 : random.int(1, 40);
      const seen = onCall(stage.fake, moment, () => setTimeout(() => running.child.kill('SIGKILL'), delayMs));
      const { exit } = await running.ended;
      seen.forget();
      if (exit === null) killed += 1;
      plan.log(`${cloud}: kill ${n} ${exit === null ? `${delayMs} ms after ${moment.of.source === '.' ? 'call' : moment.of.source.slice(1, -1)} ${moment.number}` : `came too late (belt ended with ${exit})`}: ${stage.count()} machines`);
    }
    const began = performance.now();
    const last = await stage.line.start(...words).ended;
    plan.log(`${cloud}: last run ${((performance.now() - began) / 1000).toFixed(1)} s, exit ${last.exit}`);
    const state = stage.line.state('default');
    const listed = JSON.parse((await stage.line.belt('ls', '--json')).stdout) as { name: string; status: string }[];
    const names = listed.filter((machine) => machine.status === 'active').map((machine) => machine.name);
    return {
      there: stage.count(), made: stage.made(), names, doctor: (await stage.line.belt('doctor')).stdout, known: Object.keys(state.machines), open: Object.keys(state.orders).length,
      killed, exit: last.exit, stderr: last.stderr, throttled: stage.throttled(), calls: stage.fake.calls, violations: stage.violations,
    };
  } finally {
    await stage.fake.close();
    stage.line.remove();
  }
}

interface Moment {
  /** Names of the calls that are counted. */
  readonly of: RegExp;
  readonly number: number;
}

/** Mostly among the calls that make machines, about `share` machines on; else anywhere, from the first look to the last tag. */
function chooseMoment(stage: Cloud, random: Random, share: number): Moment {
  if (share > 0 && random.chance(0.6)) return { of: stage.makes, number: random.int(1, Math.max(1, Math.ceil((share * 1.6) / stage.batch))) };
  return { of: /./, number: random.int(1, 16 + Math.ceil((share * 1.6) / stage.batch)) };
}

/** Calls `act` once, as that call arrives. */
function onCall(fake: RunningFake, moment: Moment, act: () => void): { forget(): void } {
  let left = moment.number;
  fake.faults.add({
    kind: 'refused',
    on: (call) => {
      if (!moment.of.test(call.name)) return false;
      left -= 1;
      if (left === 0) act();
      return false;
    },
  });
  return { forget: () => void (left = -1) };
}

/** What is wrong with the result, as sentences; none: exactly what was asked for is there. */
export function faultsOf(result: CrashResult, machines: number): string[] {
  const wanted = new Set(Array.from({ length: machines }, (_, at) => `node${at + 1}`));
  const there = new Set(result.names);
  const missing = [...wanted].filter((name) => !there.has(name));
  const strange = [...there].filter((name) => !wanted.has(name));
  const some = (names: readonly string[]): string => `${names.length} (${names.slice(0, 5).join(', ')})`;
  return [
    ...(result.exit === 0 ? [] : [`the last run ended with ${result.exit}: ${result.stderr.slice(-500)}`]),
    ...(missing.length > 0 ? [`missing: ${some(missing)}`] : []),
    ...(strange.length > 0 ? [`never asked for: ${some(strange)}`] : []),
    ...(result.there === machines ? [] : [`on the cloud are ${result.there}`]),
    ...(result.made === machines ? [] : [`a name of their own have ${result.made}`]),
    ...(result.doctor.includes('nothing amiss') ? [] : [`belt doctor: ${result.doctor.slice(0, 300)}`]),
    ...(result.known.length === machines ? [] : [`the state knows ${result.known.length}`]),
    ...(result.open > 0 ? [`orders still open: ${result.open}`] : []),
    ...(result.violations.length > 0 ? [`calls against the contract: ${result.violations[0]}`] : []),
  ];
}
