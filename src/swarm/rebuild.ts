/**
 * Managers are gone for good: the survivor that knows most goes on alone, and everybody who can be reached comes back to it. Stands on the node plane
 * only until the survivor leads again. Each part finds out what is done already, so the whole can be repeated.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { BeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { runAll } from '../provision/run-all.ts';
import { compressNames } from '../range/compress.ts';
import { noQuorum } from '../topology/quorum.ts';
import { agentAddress } from './form.ts';
import { joinMachines } from './join.ts';
import type { Hands, Report } from './operations.ts';
import { compareViews, hasQuorum, isElecting, type Answer, type RaftView, type Survey } from './survey.ts';
import type { Swarm } from './swarm.ts';

/** A surviving manager with what it knows. */
export interface Survivor {
  readonly machine: string;
  readonly raft: RaftView;
}

export interface RebuildPlan {
  /** Who goes on; with `reform` false it leads a quorum already and only the rest is done. */
  readonly survivor: Survivor;
  readonly reform: boolean;
  /** All surviving managers, the best first. */
  readonly survivors: readonly Survivor[];
  /** Nodes that answer and shall come (back) to the survivor. */
  readonly rejoin: readonly string[];
  /** Managers with no machine any more: their nodes are removed. */
  readonly gone: readonly string[];
  /** The epoch of a reformed group: past every one that a node has heard of, so that no two groups share one. */
  readonly epoch: number;
  /** Managers whose machines exist and do not answer: they come back to the survivor by themselves once they run. */
  readonly absent: readonly string[];
}

export interface RebuildQuestion {
  /** What every machine of the cluster answered. */
  readonly answers: readonly Answer[];
  readonly survey: Survey;
  /** Machines that exist, by the inventory. */
  readonly machines: ReadonlySet<string>;
  /** The operator's choice, null for the best. */
  readonly from: string | null;
  /** Machines to become managers in place of the lost ones. */
  readonly replacements: readonly string[];
  readonly force: boolean;
}

/**
 * Decides by evidence. Pure. Throws `refused` where there is a quorum to keep and a choice against it, or a replacement is a worker, and `failed`
 * where no manager is left.
 */
export function planRebuild({ answers, survey, machines, from, force, replacements }: RebuildQuestion): RebuildPlan {
  const workers = answers.filter(({ machine, health }) => health?.role === 'worker' && replacements.includes(machine)).map(({ machine }) => machine);
  if (workers.length > 0) {
    const names = compressNames(workers);
    const message = workers.length === 1 ? `${names} is in the swarm already, as a worker` : `${names} are in the swarm already, as workers`;
    throw new BeltError('refused', message, { next: `rebuild without ${workers.length === 1 ? 'it' : 'them'}, then: belt swarm promote '${names}'` });
  }
  const survivors = answers.flatMap(({ machine, health }) => (health?.raft == null ? [] : [{ machine, raft: health.raft }])).toSorted((a, b) => compareViews(b.raft, a.raft));
  const best = from === null ? survivors[0] : survivors.find(({ machine }) => machine === from);
  if (best === undefined) {
    if (from !== null) throw new BeltError('refused', `${from} is no manager that answers`, { machine: from, next: survivors.length === 0 ? 'start a manager’s machine (belt start RANGE) and run it again' : `choose one of ${survivors.map(({ machine }) => machine).join(', ')}` });
    throw new BeltError('failed', 'no manager of the swarm answers, so nothing is left to rebuild from', { next: 'start a manager’s machine (belt start RANGE) and run it again' });
  }
  if (isElecting(survey) && !force) {
    throw new BeltError('refused', `${noQuorum(survey.reachable.length, survey.voters.length)}: the managers have their quorum and are choosing a leader`, {
      next: 'the same command again in a moment; where they cannot reach each other for good, --force reforms',
    });
  }
  const alive = hasQuorum(survey) && survey.leader !== null;
  if (alive && from !== null && !force) {
    throw new BeltError('refused', `${noQuorum(survey.reachable.length, survey.voters.length)}: the swarm has its quorum, and reforming it from ${from} would drop the others`, { next: 'belt swarm rebuild without --from brings back what is missing; --force reforms' });
  }
  const reform = !alive || (from !== null && force);
  const survivor = reform ? best : (survivors.find(({ machine }) => machine === survey.leader) ?? best);
  const epoch = reform ? Infinity : survey.epoch;
  const members = new Set(survivor.raft.members.filter(({ voter }) => voter).map(({ name }) => name));
  const rejoin = answers.filter(({ machine, health }) => health !== null && machine !== survivor.machine && needsRejoin(health, epoch, members)).map(({ machine }) => machine);
  const known = survivor.raft.members.map(({ name }) => name);
  const answered = new Set(answers.filter(({ health }) => health !== null).map(({ machine }) => machine));
  const absent = known.filter((name) => machines.has(name) && !answered.has(name));
  return { survivor, reform, survivors, rejoin, absent, epoch: nextEpoch(answers), gone: known.filter((name) => !machines.has(name)) };
}

/** How far a worker may be past all managers that answer: its word is not a manager's, and what it says must not use up the numbers there are. */
const UNSEEN_EPOCHS_MAX = 1_000_000;

/** One past every epoch that a node has heard of. */
function nextEpoch(answers: readonly Answer[]): number {
  const heard = answers.flatMap(({ health }) => (health === null ? [] : [{ isManager: health.role === 'manager', epoch: Math.max(health.epoch, health.raft?.epoch ?? 0) }]));
  const managers = Math.max(0, ...heard.filter(({ isManager }) => isManager).map(({ epoch }) => epoch));
  const believed = heard.map(({ epoch }) => epoch).filter((epoch) => epoch <= managers + UNSEEN_EPOCHS_MAX);
  return Math.max(managers, ...believed) + 1;
}

/** Managers of an older epoch or outside the group, and workers without a session; after a reform every node. */
function needsRejoin(health: NonNullable<Answer['health']>, epoch: number, members: ReadonlySet<string>): boolean {
  if (health.role === 'machine') return false;
  if (epoch === Infinity) return true;
  if (health.role === 'manager') return health.raft === null || health.raft.epoch < epoch || !members.has(health.machine);
  return health.session === null;
}

export interface Rebuilt {
  readonly survivor: string;
  readonly reformed: boolean;
  readonly epoch: number;
  readonly rejoined: readonly Outcome<string>[];
  readonly replaced: readonly Outcome<string>[];
  readonly removed: readonly string[];
  readonly absent: readonly string[];
  /** What the new leader has to say, of engines above all. */
  readonly warnings: readonly string[];
}

/** How long the survivor may take to lead, and a node to come back, ms. */
const REFORM_MS = 15_000;
const REJOIN_MS = 15_000;
/** How long the engines' half is waited for and how often it is asked after, ms: Docker alone takes up to 25 s to show that its quorum is lost. */
const ENGINES = { forMs: 180_000, everyMs: 1_000 } as const;

/** Carries out the plan; `replacements` join as managers at the end. */
export async function rebuildSwarm(hands: Hands, plan: RebuildPlan, replacements: readonly Machine[], byName: ReadonlyMap<string, Machine>, report: Report): Promise<Rebuilt> {
  const { swarm } = hands;
  const { survivor } = plan;
  let { raft } = survivor;
  if (plan.reform) {
    report({ note: `${survivor.machine} goes on` });
    raft = (await swarm.node(survivor.machine, 'node.reform', { epoch: plan.epoch }, { timeoutMs: REFORM_MS })).raft;
  }
  const self = raft.members.find(({ name }) => name === survivor.machine);
  if (plan.reform && self !== undefined) swarm.book.learnManagers([self], self.name);
  swarm.forgetSurvey();
  const removed = await removeGone(swarm, [...plan.gone, ...await managersWithoutMachine(swarm, byName)]);
  const machine = byName.get(survivor.machine);
  const address = machine === undefined ? swarm.endpoint(survivor.machine).address : agentAddress(machine);
  report({ done: 0, failed: 0, total: plan.rejoin.length, note: 'rejoin' });
  const rejoined = await rejoinNodes(hands, plan.rejoin, address, report);
  const replaced = await bringManagers(hands, replacements, address, report);
  swarm.forgetSurvey();
  const warnings = await enginesFollow(hands, report);
  return { survivor: survivor.machine, reformed: plan.reform, epoch: raft.epoch, rejoined, replaced, removed, absent: plan.absent, warnings };
}

/** Nodes recorded as managers whose machines were destroyed: they would count as managers to come for ever. */
async function managersWithoutMachine(swarm: Swarm, byName: ReadonlyMap<string, Machine>): Promise<string[]> {
  const { nodes } = await swarm.cluster('cluster.nodes', {});
  return nodes.filter(({ name, role }) => role === 'manager' && !byName.has(name)).map(({ name }) => name);
}

async function removeGone(swarm: Swarm, names: readonly string[]): Promise<string[]> {
  const removed: string[] = [];
  for (const node of new Set(names)) {
    if ((await swarm.cluster('nodes.remove', { node, force: true })).changed) removed.push(node);
  }
  return removed;
}

/** Managers one after another, as Raft takes them; workers many at once. */
export async function rejoinNodes(hands: Hands, names: readonly string[], address: string, report: Report): Promise<Outcome<string>[]> {
  const { swarm, signal, limit } = hands;
  return runAll(names, async (name) => (await swarm.node(name, 'node.rejoin', { managers: [address] }, { timeoutMs: REJOIN_MS })).role, {
    limit, signal, nameOf: (name) => name, onDone: (_outcome, done, failed) => report({ done, failed }),
  });
}

/** Waits for the engines' swarm; the agents bring it back whether or not somebody waits. Resolves with what there is to say. */
async function enginesFollow({ swarm, signal }: Hands, report: Report): Promise<readonly string[]> {
  const deadline = performance.now() + ENGINES.forMs;
  for (;;) {
    // What is done is done, whether or not somebody can be asked about it now.
    const status = await swarm.cluster('cluster.status', {}).catch(() => null);
    if (status === null || !status.rebuilding || performance.now() > deadline) return status?.warnings ?? [];
    report({ note: 'the engines’ swarm' });
    await sleep(ENGINES.everyMs, undefined, { signal });
    swarm.forgetSurvey();
  }
}

/** Machines join as managers, for those that are gone. */
export async function bringManagers(hands: Hands, machines: readonly Machine[], address: string, report: Report): Promise<Outcome<string>[]> {
  if (machines.length === 0) return [];
  const { token } = await hands.swarm.cluster('token.show', { role: 'manager' });
  const outcomes = await joinMachines({ ...hands, limit: 9 }, { machines, role: 'manager', managers: [address], token }, report);
  return outcomes.map((outcome) => (outcome.ok ? { ...outcome, value: outcome.value.says } : outcome));
}
