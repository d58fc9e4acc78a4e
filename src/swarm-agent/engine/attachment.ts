/** An agent's own engine: port 2376 while the agent runs, and while it is a node of a cluster the reports that keep the engine where it belongs. */
import path from 'node:path';

import { asBeltError, BeltError } from '../../errors.ts';
import { splitAddress } from '../api/client.ts';
import type { Identity } from '../identity/identity.ts';
import { pause, type Clock, type Log } from '../ports.ts';
import type { Assignment, EngineReport } from './assign.ts';
import type { Engine } from './engine.ts';
import { EngineFollower } from './follower.ts';
import { saveSwarmFolder, swarmSealed } from './local.ts';
import { ENGINE_PORT, openEngineProxy, type EngineProxy } from './proxy.ts';

export interface AttachmentOptions {
  readonly engine: Engine;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly log: Log;
  /** Brings a report to the leader. */
  readonly report: (report: EngineReport) => Promise<Assignment>;
  /** Port for operators; 0 lets the system choose. Default {@link ENGINE_PORT}. */
  readonly port?: number;
}

/** How long an engine is asked to leave, ms: one that died over it is back in a few seconds. Less than the caller waits. */
const LEAVE_MS = 10_000;

export class EngineAttachment {
  readonly #options: AttachmentOptions;
  #follower: EngineFollower | null = null;
  #proxy: EngineProxy | null = null;
  #proxyProblem: string | null = null;

  constructor(options: AttachmentOptions) {
    this.#options = options;
  }

  /** The address that Docker's members reach this machine by. */
  get advertise(): string {
    const { config } = this.#options.identity;
    return config.privateIpv4 ?? splitAddress(config.address)[0];
  }

  /** What is wrong, one sentence each. */
  problems(): string[] {
    const engine = this.#follower?.problem() ?? null;
    return [...(this.#proxyProblem === null ? [] : [this.#proxyProblem]), ...(engine === null ? [] : [`engine: ${engine}`])];
  }

  /** Opens 2376 where there is an engine. A port that somebody else holds is left to it, and said. */
  async open(): Promise<void> {
    const { engine, identity, log, port = ENGINE_PORT } = this.#options;
    if (engine.socketPath === null) return;
    const [host] = splitAddress(identity.config.listen);
    try {
      this.#proxy = await openEngineProxy({
        host, port, socketPath: engine.socketPath, credentials: identity.credentials(), identify: identity.identify,
        refused: (address, error) => log(`${port}: refused ${address}: ${error.message}`),
      });
    } catch (error) {
      this.#proxyProblem = `port ${port} is left to whoever holds it: ${asBeltError(error).message}`;
      log(this.#proxyProblem);
    }
  }

  /** Key, certificate, roots or the revoked have changed. */
  trustChanged(): void {
    this.#proxy?.setCredentials(this.#options.identity.credentials());
    this.#proxy?.recheck();
  }

  /** The machine is a node of a cluster from now on: its engine follows. */
  follow(): void {
    const { engine, clock, log, report } = this.#options;
    if (engine.kind === 'docker') this.#follower ??= new EngineFollower({ engine, advertise: this.advertise, clock, log, report });
  }

  async unfollow(): Promise<void> {
    const follower = this.#follower;
    this.#follower = null;
    await follower?.stop();
  }

  /** Waits until the engine is where it belongs, at most until `deadline` (monotonic ms). Rejects with `timeout` and what keeps it. */
  async settled(deadline: number, signal: AbortSignal): Promise<void> {
    const { clock, identity } = this.#options;
    while (this.#follower !== null && !this.#follower.settled && !signal.aborted) {
      if (clock.monotonic() >= deadline || this.#follower.locked) {
        const { machine } = identity.config;
        throw new BeltError('timeout', `${machine} is in the cluster, its engine is not in the swarm yet: ${this.#follower.problem() ?? this.#follower.stands}`, { machine, next: 'belt swarm status; the agent goes on trying' });
      }
      await pause(clock, 25, signal);
    }
  }

  /** The machine leaves the cluster: so does its engine. What cannot leave is said, and does not keep the machine. */
  async leave(): Promise<void> {
    const { engine, clock, log } = this.#options;
    await this.unfollow();
    if (engine.kind !== 'docker') return;
    for (const deadline = clock.monotonic() + LEAVE_MS; ;) {
      try {
        return await engine.leave({ force: true }, AbortSignal.timeout(LEAVE_MS));
      } catch (error) {
        log(`engine: ${asBeltError(error).message}`);
      }
      if (clock.monotonic() >= deadline) return;
      await pause(clock, 500, AbortSignal.timeout(LEAVE_MS));
    }
  }

  /** Keeps the engine's swarm directory beside the agent's own state. */
  saveSwarm(): Promise<void> {
    const { engine, identity, clock } = this.#options;
    return saveSwarmFolder(engine, path.join(identity.files.paths.state, 'backup'), new Date(clock.now()));
  }

  /** Whether the engine's swarm is sealed by Docker's autolock. */
  sealed(): Promise<boolean> {
    return swarmSealed(this.#options.engine);
  }

  async close(): Promise<void> {
    await this.unfollow();
    await this.#proxy?.close();
  }
}
