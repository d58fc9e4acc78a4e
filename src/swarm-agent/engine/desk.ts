/**
 * The leader's half of the engine's work: it answers the nodes' reports, keeps the swarm's tokens in the cluster plane, and closes the
 * differences that `reconcile.ts` finds. Everything it needs to know is in the state or in Docker's own list, so a leader that died in
 * between is simply continued by the next.
 */
import { randomBytes } from 'node:crypto';

import { BeltError } from '../../errors.ts';
import type { Group } from '../api/group.ts';
import { within, type Clock, type Log } from '../ports.ts';
import type { Change } from '../store/commands.ts';
import type { NodeRecord } from '../store/records.ts';
import type { Sealer } from '../store/sealer.ts';
import { adoption } from './adoption.ts';
import { type Assignment, assign, chooseFounder, type EngineReport, type Situation } from './assign.ts';
import { lockWarnings, SEALED } from './autolock.ts';
import type { Engine } from './engine.ts';
import { EngineList } from './list.ts';
import { type Action, type Agreed, type BeltNode, decide, mayDemote } from './reconcile.ts';
import { Reform } from './reform.ts';
import { AGREED_SETTING } from './removal.ts';
import { SwarmRecord } from './swarm-record.ts';

export interface EngineDeskOptions {
  readonly group: Group;
  readonly engine: Engine;
  /** This machine's address in Docker's swarm. */
  readonly advertise: string;
  readonly sealer: () => Sealer;
  /** Whether a node's agent answers. */
  readonly ready: (id: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether Docker's autolock seals the swarm directory of this machine's engine. */
  readonly sealed: () => Promise<boolean>;
  /** Keeps a copy of the engine's swarm directory aside before it is changed for good. */
  readonly saveSwarm: () => Promise<void>;
}

const CALL_MS = 10_000;
/** Changes of Docker's nodes at once; its leader takes writes one after another anyway. */
const AT_ONCE = 8;
/** How long a founder may be silent until another is chosen, ms. */
const FOUNDER_MS = 10_000;
/** Agreements in one write. */
const BATCH = 256;
/** Looking at Docker's list costs the leader at most one part in this many of its time, and waits no longer than `mostMs`; `rebuildingMs` while it is not known whether Docker's quorum lives. */
const LOOK = { share: 20, mostMs: 10_000, rebuildingMs: 1_000 } as const;
/** How often a demotion is looked for in the list, and how long after it belt's record may take to follow, ms. */
const POLL_MS = 300;
const FOLLOW_MS = 10_000;
/** Docker elects within 20 s; what lasts longer is nothing that passes by itself. */
const ADVICE_MS = 60_000;

const freshId = (): string => randomBytes(16).toString('hex');

export class EngineDesk {
  readonly #options: EngineDeskOptions;
  readonly #reports = new Map<string, EngineReport>();
  readonly #list: EngineList;
  readonly #record: SwarmRecord;
  readonly #reform: Reform;
  /** Until when each node that steps down is left alone, monotonic ms. */
  readonly #steppingDown = new Map<string, number>();
  #warnings: readonly string[] = [];
  #nextLook = 0;
  /** Since when Docker's list could not be seen, monotonic ms. */
  #unseenSince: number | null = null;
  /** Until when this leader waits to hear from a founder that another chose, monotonic ms. */
  #founderDue: number | null = null;

  constructor(options: EngineDeskOptions) {
    this.#options = options;
    const { group, engine, clock } = options;
    this.#list = new EngineList(engine, clock);
    this.#record = new SwarmRecord(group, options.sealer);
    this.#reform = new Reform({ ...options, record: this.#record, epoch: () => group.epoch, write: (changes) => group.write(freshId(), { type: 'all', changes: [...changes] }) });
  }

  /** What an operator should know, one sentence each. */
  warnings(): readonly string[] {
    const { group } = this.#options;
    return [...(this.#toReform && this.#warnings.length === 0 ? [this.#reform.says] : this.#warnings), ...lockWarnings(this.#reports, (id) => group.state.tables.nodes.get(id)?.name, this.#reports.get(group.id))];
  }

  /** Whether Docker's half of a rebuild is still to come; not where only the operator can help it on. */
  get rebuilding(): boolean {
    return this.#toReform && this.#reform.says !== SEALED;
  }

  /** Answers a node's report. Only the leader is asked. */
  async report(id: string, report: EngineReport): Promise<Assignment> {
    const { group } = this.#options;
    const node = group.state.tables.nodes.get(id);
    if (node === undefined) throw new BeltError('unknown_machine', 'the caller is no node of the cluster');
    this.#reports.set(id, report);
    const assignment = assign(id, report, this.#situation(node, report));
    if (assignment.act !== 'none' || assignment.settled) return assignment;
    this.#nextLook = 0;
    // An engine may stand in somebody else's swarm: only an id that our swarm lists is ours.
    if (group.state.tables.swarm !== null && report.swarm === 'active' && report.dockerId !== null && await this.#list.shows(report.dockerId)) {
      await group.write(freshId(), { type: 'node.facts', node: id, facts: { dockerId: report.dockerId } });
      return { act: 'none', settled: true };
    }
    return assignment;
  }

  /** One look by the leader; true when something was done and another look is worth it at once. */
  async work(signal: AbortSignal): Promise<boolean> {
    const { group, clock } = this.#options;
    if (![...group.state.tables.nodes.values()].some((node) => node.engine === 'docker') || clock.monotonic() < this.#nextLook) return false;
    if (group.state.tables.swarm === null) return this.#found();
    const started = clock.monotonic();
    try {
      const step = await this.#reform.step(signal);
      if (step === 'waiting') return this.#wait(this.#reform.says);
      if (step === 'done') this.#warnings = [];
      if (step === 'done' || await this.#handOver(signal)) return true;
      const docker = await this.#list.look(within(CALL_MS, signal));
      const decision = decide({ nodes: this.#beltNodes(), docker, agreed: this.#agreed(), abandoned: this.#list.abandoned(), steppingDown: this.#stepping() });
      this.#warnings = decision.warnings;
      this.#unseenSince = null;
      await this.#carryOut(decision.actions, signal);
      return decision.actions.length > 0;
    } catch (error) {
      return this.#wait(`Docker's swarm cannot be seen from this manager: ${(error as Error).message}${this.#advice()}`);
    } finally {
      const mostMs = this.#record.current ? LOOK.mostMs : LOOK.rebuildingMs;
      this.#nextLook = clock.monotonic() + Math.min(mostMs, LOOK.share * (clock.monotonic() - started));
    }
  }

  /**
   * Takes a manager out of Docker's Raft before its agent steps down. Resolves when Docker's list shows it as a worker. Rejects with `refused`
   * where that would cost Docker's quorum (`force`: it is then left to the reconciler) and with `timeout`.
   */
  async stepDown(id: string, options: { readonly force: boolean; readonly signal: AbortSignal }): Promise<void> {
    const { group, clock } = this.#options;
    const node = group.state.tables.nodes.get(id);
    if (node?.dockerId == null || group.state.tables.swarm === null) return;
    this.#steppingDown.set(id, Infinity);
    let until = 0;
    try {
      await this.#demoteEngine(node, options);
      until = clock.monotonic() + FOLLOW_MS;
    } finally {
      this.#steppingDown.set(id, until);
    }
  }

  /** Whom the reconciler leaves alone: until belt's record names a worker, which the caller of {@link stepDown} writes next. */
  #stepping(): Set<string> {
    const { group, clock } = this.#options;
    for (const [id, until] of this.#steppingDown) {
      if (clock.monotonic() >= until || group.state.tables.nodes.get(id)?.role !== 'manager') this.#steppingDown.delete(id);
    }
    return new Set(this.#steppingDown.keys());
  }

  async #demoteEngine(node: NodeRecord, options: { readonly force: boolean; readonly signal: AbortSignal }): Promise<void> {
    const { engine, clock } = this.#options;
    for (let asked = false; ; asked = true) {
      const list = await engine.nodes(within(CALL_MS, options.signal)).catch((error: unknown) => {
        if (options.force) return null;
        throw error;
      });
      // Docker has no quorum to step down from: forced, the reconciler finishes it when there is one.
      if (list === null) return;
      const target = list.find((other) => other.id === node.dockerId);
      if (target === undefined || (target.role === 'worker' && target.reachability === null)) return;
      if (!asked) {
        if (!mayDemote(target, list)) {
          if (options.force) return;
          throw new BeltError('refused', `${node.name} stays a manager: without it too few of Docker's other managers are reachable`, { machine: node.name, next: 'start the other managers first, or --force' });
        }
        await engine.updateNode(target.id, { role: 'worker' }, within(CALL_MS, options.signal));
      }
      await new Promise<void>((resolve) => clock.after(POLL_MS, resolve));
      if (options.signal.aborted) throw new BeltError('timeout', `Docker has not let go of manager ${node.name} yet; it tries again every few seconds`, { machine: node.name, next: 'the same command again' });
    }
  }

  get #toReform(): boolean {
    return this.#options.group.state.tables.swarm !== null && !this.#record.current;
  }

  /** Docker's quorum may be lost while the agents kept theirs: after a while the operator is told the way out, and from whom it leads. */
  #advice(): string {
    const { group, clock, ready } = this.#options;
    this.#unseenSince ??= clock.monotonic();
    if (this.#toReform || clock.monotonic() - this.#unseenSince < ADVICE_MS) return '';
    const left = [...this.#reports].find(([id, { isManager }]) => isManager && (id === group.id || ready(id)) && group.state.tables.nodes.get(id)?.role === 'manager')?.[0];
    const name = left === undefined ? undefined : group.state.tables.nodes.get(left)?.name;
    return name === undefined ? '' : `; where most of its managers are gone for good: belt swarm rebuild --from ${name} --force`;
  }

  #wait(says: string): false {
    this.#list.lost();
    this.#warnings = [says];
    return false;
  }

  #situation(node: NodeRecord, { dockerId }: EngineReport): Situation {
    const { group, sealer, advertise } = this.#options;
    const { swarm } = group.state.tables;
    const reachable = this.#list.nodes.filter((other) => other.reachability === 'leader' || other.reachability === 'reachable');
    const addresses = reachable.map((other) => other.address).filter((address) => address !== '' && address !== '0.0.0.0');
    const own = !this.#list.isLost && this.#reports.get(group.id)?.isManager === true ? [advertise] : [];
    return {
      swarm: swarm === null ? null : { workerToken: sealer().open('swarm/worker', swarm.workerToken) },
      founder: this.#record.founder,
      dockerId: node.dockerId,
      leftBehind: dockerId !== null && this.#record.wasLeftBehind(dockerId),
      managers: addresses.length > 0 ? addresses : own,
    };
  }

  /** Before there is a swarm: decides who forms it, or records the one that is there. */
  async #found(): Promise<boolean> {
    const { group, ready, clock, log } = this.#options;
    const managers = [...group.state.tables.nodes.values()].filter((node) => node.role === 'manager' && (node.id === group.id || ready(node.id)));
    const current = this.#record.founder;
    // It may have formed the swarm under a leader that died before it wrote that down.
    if (current !== null && !this.#reports.has(current) && clock.monotonic() < (this.#founderDue ??= clock.monotonic() + FOUNDER_MS)) return false;
    const founder = chooseFounder(current, group.id, managers.map((node) => node.id), this.#reports);
    const tokens = founder === null ? null : (this.#reports.get(founder)?.tokens ?? null);
    if (tokens !== null) {
      log(`engine: the swarm is ${tokens.swarmId}`);
      await group.write(freshId(), { type: 'all', changes: [this.#record.formed(tokens), this.#record.markCurrent()] });
      return true;
    }
    if (founder === null || founder === current) return false;
    await group.write(freshId(), this.#record.choose(founder));
    return true;
  }

  /** Docker's list is seen by Docker's managers only: an agent whose engine is none hands the lead to one whose engine is. */
  async #handOver(signal: AbortSignal): Promise<boolean> {
    const { group, engine, ready, log } = this.#options;
    const info = await engine.info(within(CALL_MS, signal));
    // Made by hand since: what it lists says nothing of the nodes of ours.
    const other = info?.swarmId != null && info.swarmId !== group.state.tables.swarm?.swarmId;
    if (info?.isManager === true && !other) return false;
    const voters = new Set(group.status().membership.members.filter(({ voter }) => voter).map(({ id }) => id));
    const target = [...this.#reports].find(([id, report]) => id !== group.id && report.tokens?.swarmId === group.state.tables.swarm?.swarmId && voters.has(id) && ready(id))?.[0];
    if (target === undefined && other) throw new BeltError('engine', `its engine manages another swarm (${info.swarmId}) than the cluster’s`);
    if (target === undefined) return false;
    log('engine: the lead goes to a manager whose engine manages the swarm');
    await group.transfer(target);
    return true;
  }

  #beltNodes(): BeltNode[] {
    const { group, ready } = this.#options;
    return [...group.state.tables.nodes.values()].map((node) => ({ ...node, ready: node.id === group.id || ready(node.id) }));
  }

  #agreed(): Map<string, Agreed> {
    const agreed = new Map<string, Agreed>();
    for (const { key, value } of this.#options.group.state.tables.settings.values()) {
      if (key.startsWith(AGREED_SETTING)) agreed.set(key.slice(AGREED_SETTING.length), JSON.parse(value) as Agreed);
    }
    return agreed;
  }

  async #carryOut(actions: readonly Action[], signal: AbortSignal): Promise<void> {
    const { engine, group } = this.#options;
    const onEngine = actions.filter((action) => action.do === 'engine');
    for (let at = 0; at < onEngine.length; at += AT_ONCE) {
      await Promise.all(onEngine.slice(at, at + AT_ONCE).map(({ dockerId, change }) => engine.updateNode(dockerId, change, within(CALL_MS, signal))));
    }
    const changes: Change[] = [];
    const gone: string[] = [];
    for (const action of actions) {
      if (action.do === 'drop') await engine.removeNode(action.dockerId, { force: true }, within(CALL_MS, signal));
      else if (action.do === 'remove') {
        await engine.removeNode(action.dockerId, { force: true }, within(CALL_MS, signal));
        changes.push({ type: 'setting.remove', key: AGREED_SETTING + action.node });
        gone.push(action.dockerId);
      } else if (action.do === 'agree') changes.push({ type: 'setting.set', key: AGREED_SETTING + action.node, value: JSON.stringify(action.agreed) });
      else if (action.do === 'forget') {
        changes.push({ type: 'node.facts', node: action.node, facts: { dockerId: null } }, { type: 'setting.remove', key: AGREED_SETTING + action.node });
        gone.push(action.dockerId);
      }
      else if (action.do === 'adopt') changes.push(...adoption(action, group.state.tables.nodes.get(action.node)));
    }
    changes.push(...this.#record.leaveBehind(gone));
    for (let at = 0; at < changes.length; at += BATCH) await group.write(freshId(), { type: 'all', changes: changes.slice(at, at + BATCH) });
  }
}
