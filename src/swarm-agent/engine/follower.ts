/** Every node's half of the engine's work: it tells the leader how its engine stands and does what it is told, until both are content. */
import { asBeltError } from '../../errors.ts';
import { within, type Clock, type Log } from '../ports.ts';
import type { Assignment, EngineReport } from './assign.ts';
import type { Engine } from './engine.ts';

export interface EngineFollowerOptions {
  readonly engine: Engine;
  /** The address that Docker's members reach this machine by. */
  readonly advertise: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Brings the report to the leader. Rejects while there is none. */
  readonly report: (report: EngineReport) => Promise<Assignment>;
}

/** Said of engines that nothing can be told. */
const PROBLEM: Partial<Record<EngineReport['swarm'], string>> = {
  absent: 'Docker Engine does not answer', locked: 'the swarm is locked by Docker’s autolock and waits for docker swarm unlock',
};
/** Milliseconds between reports: while something is to come, when all is settled, and after a failure. */
const REPORT_MS = { unsettled: 500, settled: 15_000, failed: 2_000 } as const;
/** Longest any one call of the engine may take, ms. A join waits for the swarm's leader, who takes one at a time. */
const ENGINE_MS = { info: 5_000, join: 60_000 } as const;

export class EngineFollower {
  readonly #options: EngineFollowerOptions;
  readonly #stop = new AbortController();
  #cancel: () => void = () => undefined;
  #busy: Promise<void> | null = null;
  #lastProblem: string | null = null;
  #settled = false;
  #stands = 'the others have not let it in';
  #locked = false;

  constructor(options: EngineFollowerOptions) {
    this.#options = options;
    this.#schedule(0);
  }

  /** What keeps the engine from being where it should be; null when nothing does. */
  problem(): string | null {
    return this.#lastProblem;
  }

  /** While it is not settled and nothing failed: what is waited for. */
  get stands(): string {
    return this.#stands;
  }

  /** Whether the leader said that nothing is to come. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether the engine waits for the key of Docker's autolock, which no agent has. */
  get locked(): boolean {
    return this.#locked;
  }

  /** Something changed: report now. */
  wake(): void {
    if (this.#busy === null) this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancel();
    await this.#busy;
  }

  #schedule(ms: number): void {
    this.#cancel();
    if (this.#stop.signal.aborted) return;
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#busy ??= this.#turn().then((next) => {
        this.#busy = null;
        this.#schedule(next);
      });
    });
  }

  async #turn(): Promise<number> {
    try {
      const report = await this.#look();
      const assignment = await this.#options.report(report);
      await this.#act(assignment);
      this.#locked = report.swarm === 'locked';
      this.#lastProblem = PROBLEM[report.swarm] ?? null;
      this.#stands = report.swarm === 'inactive' || report.swarm === 'absent'
        ? 'the others have not let it in'
        : `its own word is ${report.swarm}${report.dockerId === null ? '' : ` as node ${report.dockerId}`}, and Docker’s managers do not list that; where it stays so, restart Docker on it`;
      this.#settled = assignment.act === 'none' && assignment.settled;
      if (assignment.act !== 'none') return 0;
      return assignment.settled ? REPORT_MS.settled : REPORT_MS.unsettled;
    } catch (error) {
      const { message } = asBeltError(error);
      if (message !== this.#lastProblem && !this.#stop.signal.aborted) this.#options.log(`engine: ${message}`);
      this.#lastProblem = message;
      return REPORT_MS.failed;
    }
  }

  #within(ms: number): AbortSignal {
    return within(ms, this.#stop.signal);
  }

  async #look(): Promise<EngineReport> {
    const { engine } = this.#options;
    const info = await engine.info(this.#within(ENGINE_MS.info));
    if (info === null) return { version: null, swarm: 'absent', dockerId: null, isManager: false, tokens: null };
    const manages = info.isManager && info.swarm === 'active';
    // A manager whose swarm has lost its quorum cannot read the tokens; that is no reason not to report.
    const tokens = manages ? await engine.tokens(this.#within(ENGINE_MS.info)).catch(() => null) : null;
    return { version: info.version, swarm: info.swarm, dockerId: info.nodeId, isManager: info.isManager, tokens };
  }

  async #act(assignment: Assignment): Promise<void> {
    const { engine, advertise, log } = this.#options;
    if (assignment.act === 'none') return;
    log(`engine: ${assignment.act}`);
    const signal = this.#within(ENGINE_MS.join);
    if (assignment.act === 'init') await engine.init({ advertise, availability: 'drain', forceNew: false }, signal);
    else if (assignment.act === 'leave') await engine.leave({ force: true }, signal);
    else await engine.join({ managers: assignment.managers, token: assignment.token, advertise, availability: 'drain' }, signal);
  }
}
