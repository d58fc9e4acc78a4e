/** What `belt doctor` finds amiss: machines, records and parts of the cloud that do not fit together, each with its way out. */
import { DRIVERS } from '../../drivers/registry.ts';
import { BeltError, type Outcome } from '../errors.ts';
import type { ClusterState } from '../inventory/state.ts';
import { forget, record } from '../provision/create.ts';
import type { Machine } from '../provision/driver.ts';
import { type Down, type Fleet, mergeFleet, sweep } from '../provision/fleet.ts';
import type { CloudPart, PartsFound } from '../provision/parts.ts';
import { runAll } from '../provision/run-all.ts';
import type { ClusterView, Context } from './context.ts';
import { clusterDrivers } from './ranges.ts';

/** Clouds asked at once for their parts. */
const CLOUDS_AT_ONCE = 8;

/** A finding as it is shown and as scripts may use it. */
export interface FindingDocument {
  readonly finding: 'unknown machine' | 'missing machine' | 'doubled name' | 'cloud is down' | 'unused part' | 'incomplete part' | 'missing part';
  readonly name: string | null;
  readonly driver: string;
  readonly id: string | null;
  readonly region: string | null;
  readonly next: string;
}

/** A finding and what it is about. */
export type Finding = { readonly document: FindingDocument } & (
  | { readonly about: 'cloud' }
  | { readonly about: 'stranger' | 'double' | 'record'; readonly machine: Machine }
  | { readonly about: 'part'; readonly part: CloudPart }
);

export interface Examination {
  readonly fleet: Fleet;
  readonly findings: readonly Finding[];
}

/** Asks all clouds for machines and parts at once. */
export async function examine(ctx: Context, cluster: ClusterView): Promise<Examination> {
  if (!cluster.exists) return { fleet: mergeFleet(cluster.state, []), findings: [] };
  // Besides the drivers in play the configured one: after a damaged state was put aside nothing else is known.
  const drivers = new Map((await clusterDrivers(ctx, cluster)).map((driver) => [driver.name, driver]));
  const configured = (await ctx.settings()).driver;
  if (!drivers.has(configured) && Object.hasOwn(DRIVERS, configured)) drivers.set(configured, await ctx.driver(configured));
  const [sweeps, parts] = await Promise.all([sweep([...drivers.values()], cluster.tag, ctx.signal), partsOf(ctx, cluster, [...drivers.keys()])]);
  const fleet = mergeFleet(cluster.state, sweeps);
  const unheard = parts.down.filter((one) => !fleet.down.some(({ driver, region }) => driver === one.driver && (region === null || region === one.region)));
  // A record without a machine comes first: the machine may only be missing from a list that lags, and the part be its own.
  const isJudged = ({ document: { driver, region, finding } }: Finding): boolean =>
    finding !== 'unused part' || !fleet.missing.some((machine) => machine.driver === driver && (region === null || machine.region === region));
  return { fleet, findings: [...[...fleet.down, ...unheard].map(downFinding), ...machineFindings(fleet), ...parts.findings.filter(isJudged)] };
}

async function partsOf(ctx: Context, cluster: ClusterView, drivers: readonly string[]): Promise<{ findings: Finding[]; down: Down[] }> {
  const ask = async (driver: string): Promise<PartsFound> => (await ctx.beside(driver, 'parts'))?.find(cluster.tag, ctx.signal) ?? { parts: [], down: [] };
  const found = await runAll(drivers, ask, { limit: CLOUDS_AT_ONCE, signal: ctx.signal, nameOf: (driver) => driver });
  ctx.signal.throwIfAborted();
  const down = found.flatMap((one): Down[] => (one.ok ? one.value.down.map((place) => ({ driver: one.name, ...place })) : [{ driver: one.name, region: null, error: one.error }]));
  return { findings: found.flatMap((one) => (one.ok ? one.value.parts.map((part) => partFinding(one.name, part)) : [])), down };
}

/** Removes what no machine of the cluster needs any more; an outcome a part. For the end of a cluster, after which nobody would find them. */
export async function removeUnusedParts(ctx: Context, cluster: ClusterView, drivers: readonly string[]): Promise<Outcome[]> {
  const { findings, down } = await partsOf(ctx, cluster, drivers);
  const [silent] = down;
  if (silent !== undefined) throw silent.error;
  return act(ctx, cluster, findings, true);
}

function downFinding({ driver, region, error }: Down): Finding {
  return { about: 'cloud', document: { finding: 'cloud is down', name: null, driver, id: null, region, next: error.message } };
}

function partFinding(driver: string, part: CloudPart): Finding {
  const next = part.state === 'unused' ? `${part.why}: belt doctor --remove; a create would use it` : `${part.why}: belt doctor --adopt completes it`;
  return { about: 'part', part, document: { finding: `${part.state} part`, name: `${part.kind} ${part.name}`, driver, id: part.id, region: part.region, next } };
}

function machineFindings(fleet: Fleet): Finding[] {
  const document = ({ name, driver, id, region }: Machine, finding: FindingDocument['finding'], next: string): FindingDocument => ({ finding, name, driver, id, region, next });
  const doubled = new Set(fleet.doubles.map(({ id }) => id));
  return [
    ...fleet.doubles.map((machine): Finding => ({ about: 'double', machine, document: document(machine, 'doubled name', 'belt doctor --remove') })),
    ...fleet.strangers.filter(({ id }) => !doubled.has(id)).map((machine): Finding => ({ about: 'stranger', machine, document: document(machine, 'unknown machine', 'belt doctor --adopt, or --remove') })),
    ...fleet.missing.map((machine): Finding => ({ about: 'record', machine, document: document(machine, 'missing machine', `belt doctor --adopt, or belt rm ${machine.name}`) })),
  ];
}

/** The findings of these names or ids; all where none is given. Throws `unknown_machine` for one that nothing is amiss with. */
export function selectFindings(findings: readonly Finding[], wanted: readonly string[]): Finding[] {
  const isCalled = ({ document, ...finding }: Finding, name: string): boolean => [document.id, document.name, finding.about === 'part' ? finding.part.name : null].includes(name);
  const nobody = wanted.find((name) => !findings.some((finding) => isCalled(finding, name)));
  if (nobody !== undefined) throw new BeltError('unknown_machine', `nothing of the name or id ${nobody} is amiss`, { next: 'belt doctor' });
  return wanted.length === 0 ? [...findings] : findings.filter((finding) => wanted.some((name) => isCalled(finding, name)));
}

/** Those of `before` that are so still. */
export function stillSo(before: readonly Finding[], now: readonly Finding[]): Finding[] {
  const key = ({ document: { finding, driver, id, name } }: Finding): string => JSON.stringify([finding, driver, id ?? name]);
  const known = new Set(before.map(key));
  return now.filter((finding) => known.has(key(finding)));
}

/** What `--remove` or `--adopt` does about a finding; null: nothing. */
export function remedy(finding: Finding, remove: boolean): 'destroy' | 'record' | 'forget' | 'mend' | null {
  switch (finding.about) {
    case 'cloud':
      return null;
    case 'record':
      return 'forget';
    case 'double':
      return remove ? 'destroy' : null;
    case 'stranger':
      return remove ? 'destroy' : 'record';
    case 'part':
      return (finding.part.state === 'unused') === remove ? 'mend' : null;
  }
}

/** Changes of the record that findings ask for. */
export function amend(state: ClusterState, findings: readonly Finding[], remove: boolean): void {
  for (const finding of findings) {
    if (finding.about === 'cloud' || finding.about === 'part') continue;
    const act = remedy(finding, remove);
    if (act === 'forget') forget(state, finding.machine.name);
    else if (act === 'record') record(state, finding.machine);
  }
}

/** Acts on the clouds: machines destroyed, parts removed or completed. An outcome for each, named as the finding is. */
export async function act(ctx: Context, cluster: ClusterView, findings: readonly Finding[], remove: boolean): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const finding of findings) {
    // One at a time under its own name: a double shares it with a machine that stays.
    if (finding.about !== 'cloud' && finding.about !== 'part' && remedy(finding, remove) === 'destroy') {
      const { name, driver, id } = finding.machine;
      outcomes.push(...(await (await ctx.driver(driver)).destroy([id], ctx.signal)).map((outcome) => ({ ...outcome, name })));
    }
  }
  // After the machines: parts may have been theirs.
  const mending = findings.filter((finding) => finding.about === 'part' && remedy(finding, remove) === 'mend');
  for (const [driver, group] of Map.groupBy(mending, ({ document }) => document.driver)) {
    const parts = await ctx.beside(driver, 'parts');
    if (parts !== null) outcomes.push(...(await parts.mend(cluster.tag, group.flatMap((finding) => (finding.about === 'part' ? [finding.part] : [])), ctx.signal)));
  }
  return outcomes;
}
