/**
 * Docker's half of a rebuild: where its swarm still has its quorum nothing is lost and nothing is done; where it has not, this engine goes on
 * alone with the state it holds, and the other managers' engines are told to leave and join again.
 */
import { BeltError } from '../../errors.ts';
import { within } from '../ports.ts';
import type { Change } from '../store/commands.ts';
import { SEALED } from './autolock.ts';
import type { EngineDeskOptions } from './desk.ts';
import type { EngineInfo } from './engine.ts';
import { QuorumWatch } from './quorum-watch.ts';
import type { SwarmRecord } from './swarm-record.ts';

/** The desk's own, and what it keeps. */
export interface ReformOptions extends Pick<EngineDeskOptions, 'engine' | 'advertise' | 'clock' | 'log' | 'sealed' | 'saveSwarm'> {
  readonly record: SwarmRecord;
  /** How often the agents' group was reformed. */
  readonly epoch: () => number;
  /** Writes all of the changes or none. */
  readonly write: (changes: readonly Change[]) => Promise<unknown>;
}

/** A list that is asked for while its silence is nearly believed still has the shorter time. */
const CALL_MS = 10_000;
const LAST_CALL_MS = 2_000;
/** A forced new cluster reads the whole state back in first. */
const INIT_MS = 60_000;
/** Without a quorum Docker thinks about every question for many seconds before it answers, `info` included. */
const QUORUMLESS_MS = 40_000;

const UNDER_WAY = 'Docker’s half of the rebuild is under way';

/** `waiting`: it does not show yet whether Docker's quorum is lost; the swarm is left alone until it does. */
export type ReformStep = 'nothing' | 'done' | 'waiting';

export class Reform {
  readonly #options: ReformOptions;
  /** Of which epoch the swarm directory was saved, and the quorum is watched. */
  #savedFor = -1;
  /** What this engine says of itself, asked when its list was first silent. */
  #info: Promise<EngineInfo | null> | null = null;
  #says = UNDER_WAY;
  #watched: { readonly epoch: number; readonly quorum: QuorumWatch } | null = null;

  constructor(options: ReformOptions) {
    this.#options = options;
  }

  /** While it is not done: how it stands, for the operator. */
  get says(): string {
    return this.#says;
  }

  /** What is to be done after the agents' latest reform, a step at a time. Rejects with `engine` where this engine cannot go on alone. */
  async step(signal: AbortSignal): Promise<ReformStep> {
    const { engine, record, epoch, write, sealed, clock } = this.#options;
    if (record.current) return 'nothing';
    if (this.#watched?.epoch !== epoch()) [this.#watched, this.#info] = [{ epoch: epoch(), quorum: new QuorumWatch() }, null];
    this.#says = await sealed() ? SEALED : UNDER_WAY;
    const started = clock.monotonic();
    const { quorum } = this.#watched;
    const list = await engine.nodes(within(Math.min(CALL_MS, Math.max(LAST_CALL_MS, quorum.silenceDue(started))), signal)).catch(() => null);
    const verdict = quorum.look(list, { started, now: clock.monotonic() });
    // Asked at once, since its answer takes as long as the silence: 20 s of Docker's own.
    if (list === null) this.#info ??= engine.info(within(QUORUMLESS_MS, signal));
    if (verdict === 'unsure') return 'waiting';
    if (verdict === 'lost') {
      await this.#goOnAlone(signal);
      return 'done';
    }
    // Managers out of Raft: this engine has gone on alone already, under a leader that died before it wrote that down.
    const others = list?.filter(({ role, reachability, state }) => role === 'manager' && reachability === null && state !== 'ready').map(({ id }) => id) ?? [];
    await write([record.markCurrent(), ...record.leaveBehind(others)]);
    return 'done';
  }

  async #goOnAlone(signal: AbortSignal): Promise<void> {
    const { engine, record, epoch, write, advertise, sealed, saveSwarm, log } = this.#options;
    if (await sealed()) throw new BeltError('engine', SEALED);
    const asked = this.#info ?? engine.info(within(QUORUMLESS_MS, signal));
    this.#info = null;
    const info = await asked;
    if (info === null) throw new BeltError('engine', 'Docker’s swarm has no quorum, and the engine of this manager does not answer');
    if (!info.isManager) throw new BeltError('engine', 'Docker’s swarm has no quorum, and the engine of this manager cannot go on alone: it was no manager of it');
    // Asked again: only now it is sure where its directory is.
    if (await sealed()) throw new BeltError('engine', SEALED);
    if (this.#savedFor !== epoch()) await saveSwarm();
    this.#savedFor = epoch();
    log('engine: the swarm has no quorum left; this engine goes on alone');
    const tokens = await engine.init({ advertise, availability: 'active', forceNew: true }, within(INIT_MS, signal));
    const own = info.nodeId ?? (await engine.info(within(CALL_MS, signal)))?.nodeId;
    const others = (await engine.nodes(within(CALL_MS, signal))).filter((node) => node.role === 'manager' && node.id !== own).map((node) => node.id);
    log(`engine: the swarm is ${tokens.swarmId}`);
    await write([record.formed(tokens), record.markCurrent(), ...record.leaveBehind(others)]);
  }
}
