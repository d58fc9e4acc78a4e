/**
 * No manager is left: the swarm goes on from a backup. One machine becomes the first manager and learns what the backup holds, every worker that
 * answers comes to it, and other managers join. Each part finds out what is done already, so the whole can be repeated.
 */
import { compressNames } from '../range/compress.ts';
import { BeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { runAll } from '../provision/run-all.ts';
import { type Backup, packBackup } from '../swarm-agent/api/backup.ts';
import { agentAddress } from './form.ts';
import { joinMachines } from './join.ts';
import { handOverAuthority, needBootstrapped, type Hands, type Report } from './operations.ts';
import { bringManagers, rejoinNodes } from './rebuild.ts';
import type { Answer, Survey } from './survey.ts';

export interface RestorePlan {
  /** The machine that becomes the first manager. */
  readonly target: Machine;
  /** Machines that join it as managers. */
  readonly others: readonly Machine[];
  /** The epoch at which the managers begin. */
  readonly epoch: number;
  /** Workers that answer. Those that the backup knows come back with identity and labels; those that joined after it was taken leave and join again. */
  readonly workers: readonly { readonly name: string; readonly id: string | null }[];
  /** Workers of the backup that do not answer now: known, and down until they do. */
  readonly silent: readonly string[];
}

export interface RestoreQuestion {
  readonly backup: Backup;
  readonly clusterId: string;
  /** The machines that shall manage, the first one first. */
  readonly managers: readonly [Machine, ...Machine[]];
  /** What every machine of the cluster answered. */
  readonly answers: readonly Answer[];
  readonly survey: Survey;
}

/** Nodes believe no managers of an earlier epoch than they know; those that are off now may know of rebuilds, each of which counted one. */
const EPOCH_STEP = 1000;

/** Decides by evidence. Pure. Throws `refused` with every reason at once. */
export function planRestore({ backup, clusterId, managers, answers, survey }: RestoreQuestion): RestorePlan {
  const [target, ...others] = managers;
  const answered = new Map(answers.flatMap(({ machine, health }) => (health === null ? [] : [[machine, health] as const])));
  // A restore that died half-way left its first manager, of a later epoch, and perhaps others that it had taken in.
  const alive = [...answered].flatMap(([name, { raft }]) => (raft === null || raft.epoch > backup.epoch + EPOCH_STEP - 1 ? [] : [name]));
  const problems = [
    ...(backup.clusterId === clusterId ? [] : [`the backup is of cluster ${backup.clusterName} (${backup.clusterId}), not of this one (${clusterId})`]),
    ...(alive.length === 0 ? [] : [`${compressNames(alive)} still ${alive.length === 1 ? 'manages the swarm and knows' : 'manage the swarm and know'} more than a backup: belt swarm rebuild goes on from there`]),
    ...managers.filter(({ name }) => answered.get(name)?.role === 'worker').map(({ name }) => `${name} is a worker of the swarm: name a machine that is no node, or belt swarm leave it first`),
  ];
  if (problems.length > 0) throw new BeltError('refused', problems.join('\n'), { next: 'belt swarm nodes shows who is there' });
  const epoch = answered.get(target.name)?.raft?.epoch ?? Math.max(backup.epoch, survey.epoch, ...[...answered.values()].map(({ epoch: heard }) => heard)) + EPOCH_STEP;
  const workers = [...answered].flatMap(([name, { role, nodeId }]) => (role === 'worker' ? [{ name, id: nodeId }] : []));
  return { target, others, epoch, workers, silent: backup.nodes.flatMap(({ name, role }) => (role === 'worker' && !answered.has(name) ? [name] : [])) };
}

export interface Restored {
  readonly manager: string;
  /** All of the backup was there already. */
  readonly already: boolean;
  readonly rejoined: readonly Outcome<string>[];
  readonly joined: readonly Outcome<string>[];
  readonly silent: readonly string[];
}

/** How long the first manager may take to be one and to write down what the backup holds, ms. */
const RESTORE_MS = 120_000;

/** Carries out the plan. */
export async function restoreSwarm(hands: Hands, plan: RestorePlan, backup: Backup, byName: ReadonlyMap<string, Machine>, report: Report): Promise<Restored> {
  const { swarm } = hands;
  const { target, others, epoch } = plan;
  report({ note: 'bootstrap' });
  await needBootstrapped(hands, [target], report);
  report({ note: `${target.name} goes on from the backup` });
  await handOverAuthority(hands, target);
  const { id, already } = await swarm.node(target.name, 'node.restore', { backup: await packBackup(backup), epoch }, { timeoutMs: RESTORE_MS });
  const address = agentAddress(target);
  swarm.book.learnManagers([{ name: target.name, id, address }], target.name);
  swarm.forgetSurvey();
  await swarm.recordOwn();
  const { nodes } = await swarm.cluster('cluster.nodes', {});
  const known = new Map(nodes.map((node) => [node.name, node.id]));
  const [back, newcomers] = [plan.workers.filter((worker) => known.get(worker.name) === worker.id), plan.workers.filter((worker) => known.get(worker.name) !== worker.id)];
  report({ done: 0, failed: 0, total: back.length, note: 'rejoin' });
  const rejoined = await rejoinNodes(hands, back.map(({ name }) => name), address, report);
  const joined = [...await joinAnew(hands, newcomers.map(({ name }) => name), known, byName, address, report), ...await bringManagers(hands, others, address, report)];
  swarm.forgetSurvey();
  await swarm.survey();
  return { manager: target.name, already, rejoined, joined, silent: plan.silent };
}

/** Workers that nobody knows any more leave, as does a namesake of the backup that was another machine, and join as new ones. */
async function joinAnew(hands: Hands, names: readonly string[], known: ReadonlyMap<string, string>, byName: ReadonlyMap<string, Machine>, address: string, report: Report): Promise<Outcome<string>[]> {
  if (names.length === 0) return [];
  const { swarm, signal, limit } = hands;
  const left = await runAll(names, async (name) => {
    if (known.has(name)) await swarm.cluster('nodes.remove', { node: name, force: true });
    await swarm.node(name, 'node.leave', {});
  }, { limit, signal, nameOf: (name) => name });
  const machines = left.flatMap(({ name, ok }) => (ok && byName.has(name) ? [byName.get(name) as Machine] : []));
  const { token } = await swarm.cluster('token.show', { role: 'worker' });
  const joined = await joinMachines(hands, { machines, role: 'worker', managers: [address], token }, report);
  return [...left.filter((outcome) => !outcome.ok), ...joined.map((outcome): Outcome<string> => (outcome.ok ? { ...outcome, value: outcome.value.says } : outcome))];
}
