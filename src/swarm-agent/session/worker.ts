/** A worker's session: finds the leader, beats, takes what it is told, and comes back with jitter when the connection breaks. */
import * as v from 'valibot';

import { BeltError, asBeltError } from '../../errors.ts';
import type { CallClient } from '../api/client.ts';
import { ManagerAddress, Membership } from '../api/shapes.ts';
import { pause, type Clock, type Random } from '../ports.ts';
import { backoffMs } from './backoff.ts';
import { LIVENESS } from './liveness.ts';
import type { Peers } from './peers.ts';

/** A leader to whom thousands come at once takes seconds to shake all hands; giving up sooner would only make more of them. */
const DIAL_MS = 8000;

const Event = v.object({ membership: v.optional(Membership), leader: v.optional(v.nullable(ManagerAddress)) });

export interface WorkerSessionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly peers: Peers;
  /** Managers to try, as last known. */
  readonly managers: () => readonly ManagerAddress[];
  readonly nodes: () => number;
  /** The newest epoch of the managers' group that this node has heard of. */
  readonly epoch: () => number;
  readonly self: () => { readonly address: string; readonly agentVersion: string; readonly engine: 'docker' | 'none'; readonly membershipVersion: number };
  readonly onMembership: (membership: Membership) => void;
  readonly onState: (line: string) => void;
}

/** Runs until {@link stop}. */
export class WorkerSession {
  readonly #options: WorkerSessionOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #client: CallClient | null = null;
  /** Of the dial under way. */
  #dialing = new AbortController();
  #current: { readonly manager: string; readonly since: number } | null = null;
  /** Managers of this round that were not tried yet. */
  #toTry: ManagerAddress[] = [];
  /** Rounds begun since the last session. */
  #rounds = 0;
  /** Whom the last leader named as the next when it said goodbye: tried first, but after the pause that spreads all workers. */
  #preferred: ManagerAddress | null = null;
  /** The round in which a named leader was tried. */
  #followed = -1;
  #lastError: string | null = null;
  #reopen = false;
  #heard = 0;
  /** The number notes of the open session go under. */
  #session = 0;

  constructor(options: WorkerSessionOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The manager it holds a session to, and for how long. */
  current(): { readonly manager: string; readonly sinceMs: number } | null {
    return this.#current === null ? null : { manager: this.#current.manager, sinceMs: Math.round(this.#options.clock.monotonic() - this.#current.since) };
  }

  /** Why there is no session, null while there is one. */
  problem(): string | null {
    return this.#current === null ? this.#lastError : null;
  }

  /** Comes back at once with the certificate in force now: after a renewal. */
  reconnect(): void {
    this.#reopen = true;
    // Managers as they are known now, and not after those of before have all failed to answer.
    this.#toTry = [];
    this.#dialing.abort();
    this.#client?.close();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#client?.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#once(this.#choose());
      } catch (error) {
        this.#lastError = asBeltError(error).message;
        if (!signal.aborted) this.#options.onState(this.#lastError);
      }
      this.#current = null;
      if (this.#reopen) this.#reopen = false;
      // All known managers in turn, and whom they name as leader, before a pause that grows.
      else if (this.#toTry.length === 0) await pause(clock, backoffMs(this.#rounds, this.#options.nodes(), random()), signal);
    }
  }

  /** The next manager: those known, in an order of chance, one round after another. */
  #choose(): ManagerAddress {
    const { managers, random } = this.#options;
    if (this.#toTry.length === 0) {
      this.#rounds += 1;
      this.#toTry = managers().map((manager) => ({ manager, at: random() })).sort((a, b) => a.at - b.at).map(({ manager }) => manager);
      if (this.#preferred !== null) this.#toTry = [this.#preferred, ...this.#toTry.filter(({ id }) => id !== this.#preferred?.id)];
      this.#preferred = null;
    }
    const chosen = this.#toTry.shift();
    if (chosen === undefined) throw new BeltError('unreachable', 'no manager is known');
    return chosen;
  }

  /** A manager named another as leader: that one is tried next, once a round. */
  #follow(leader: ManagerAddress): void {
    if (this.#followed === this.#rounds) return;
    this.#followed = this.#rounds;
    this.#toTry = [leader, ...this.#toTry.filter(({ id }) => id !== leader.id)];
  }

  /** One session from dial to end. */
  async #once(manager: ManagerAddress): Promise<void> {
    const { clock, peers, self } = this.#options;
    this.#dialing = new AbortController();
    const client = await peers.dial(manager, AbortSignal.any([this.#stop.signal, this.#dialing.signal]), DIAL_MS);
    this.#client = client;
    const ended = new Promise<BeltError>((resolve) => client.onClose(resolve));
    const id = client.nextId;
    const rounds = this.#rounds;
    let older: string | null = null;
    this.#session = id;
    try {
      const { leader } = await client.call('member.session', self(), {
        timeoutMs: 5000,
        onEvent: (body) => {
          older ??= this.#take(body, manager);
          if (older !== null) client.close();
        },
      });
      if (leader !== null && leader.id !== manager.id) {
        this.#follow(leader);
        return;
      }
      this.#rounds = 0;
      this.#toTry = [];
      this.#current = { manager: manager.id, since: clock.monotonic() };
      this.#options.onState(`session with ${manager.name}`);
      const stopBeating = this.#beat(client, id);
      const why = await ended;
      stopBeating();
      this.#lastError = why.message;
    } catch (error) {
      if (older === null) throw error;
    } finally {
      client.close();
      this.#client = null;
      // That was no session: the pauses go on growing.
      if (older !== null) this.#rounds = rounds;
    }
    if (older !== null) throw new BeltError('unreachable', older, { machine: manager.name });
  }

  /** Notes out, echoes in: a leader that is silent too long is left, for a frozen machine closes no connection. */
  #beat(client: CallClient, id: number): () => void {
    const { clock } = this.#options;
    this.#heard = clock.monotonic();
    let cancel = (): void => undefined;
    const again = (): void => {
      if (clock.monotonic() - this.#heard > LIVENESS.silentMs) return client.close();
      client.note(id, { version: this.#options.self().membershipVersion });
      cancel = clock.after(LIVENESS.beatMs, again);
    };
    cancel = clock.after(LIVENESS.beatMs, again);
    return () => cancel();
  }

  /** Takes an event; why `manager` is none to follow, where it was left behind by a rebuild. */
  #take(body: unknown, manager: ManagerAddress): string | null {
    this.#heard = this.#options.clock.monotonic();
    const event = v.safeParse(Event, body);
    if (!event.success) return null;
    if (event.output.membership !== undefined) {
      const { epoch } = event.output.membership;
      if (epoch < this.#options.epoch()) return `${manager.name} is of epoch ${epoch}, and the managers went on in epoch ${this.#options.epoch()}`;
      this.#options.onMembership(event.output.membership);
      this.#client?.note(this.#session, { version: this.#options.self().membershipVersion });
    }
    if (event.output.leader != null) this.#preferred = event.output.leader;
    return null;
  }
}
