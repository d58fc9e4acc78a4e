/** The leader's end of the workers' sessions: who lives, and who is told when the membership changes. */
import * as v from 'valibot';

import { BeltError } from '../../errors.ts';
import type { CallContext, Stream } from '../api/server.ts';
import type { ManagerAddress, Membership } from '../api/shapes.ts';
import type { Clock } from '../ports.ts';
import { Liveness } from './liveness.ts';

/** A worker's heartbeat: the version of the membership it follows. */
const Beat = v.object({ version: v.pipe(v.number(), v.integer()) });

interface Session {
  readonly id: string;
  readonly stream: Stream;
  /** `tellingOf` of the membership the worker was last sent. */
  told: string;
  /** The version it has confirmed to follow. */
  version: number;
}

export interface SessionsOptions {
  readonly clock: Clock;
  /** What this worker shall know now; null when it is no node any more. */
  readonly membershipOf: (id: string) => Membership | null;
  /** A short text that changes when that does; null when it is no node any more. Asked for every session at every change. */
  readonly tellingOf: (id: string) => string | null;
}

/** Most sessions a leader keeps: 5,000 workers with room for those that come back before their old session is seen to be dead. */
const SESSIONS_MAX = 8192;

export class Sessions {
  readonly liveness: Liveness;
  readonly #options: SessionsOptions;
  readonly #open = new Map<string, Session>();
  #pushing: (() => void) | null = null;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.liveness = new Liveness(options.clock.monotonic());
  }

  /** The membership version this worker has confirmed; 0 where it holds no session. */
  versionOf(id: string): number {
    return this.#open.get(id)?.version ?? 0;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Leadership begins: nobody has been seen yet. */
  lead(): void {
    this.liveness.lead(this.#options.clock.monotonic());
  }

  /** Leadership ended: all workers are sent to look for the new leader. */
  dismiss(leader: ManagerAddress | null): void {
    for (const { stream } of this.#open.values()) {
      stream.send({ leader });
      stream.end(new BeltError('unreachable', 'this manager leads no longer'));
    }
    this.#open.clear();
  }

  /** Opens the session of the calling worker; an older one of the same worker ends. */
  open({ caller, stream }: CallContext): void {
    const { clock } = this.#options;
    if (this.#open.size >= SESSIONS_MAX) throw new BeltError('refused', `${SESSIONS_MAX} sessions are open`, { retryable: true, retryAfterMs: 5000 });
    const session: Session = { id: caller.name, stream, told: '', version: 0 };
    this.#open.get(caller.name)?.stream.end(new BeltError('unreachable', 'the worker opened a newer session'));
    this.#open.set(caller.name, session);
    this.liveness.seen(caller.name, clock.monotonic());
    stream.onNote((note) => {
      if (this.#open.get(session.id) !== session) return;
      this.liveness.seen(session.id, clock.monotonic());
      const beat = v.safeParse(Beat, note);
      if (beat.success) session.version = beat.output.version;
      stream.send({});
    });
    stream.onClose(() => {
      if (this.#open.get(session.id) !== session) return;
      this.#open.delete(session.id);
      this.liveness.closed(session.id, clock.monotonic());
    });
    this.#tell(session);
  }

  /** The state changed: soon, and once for many changes, every worker that is concerned is told. */
  changed(): void {
    if (this.#open.size === 0 || this.#pushing !== null) return;
    this.#pushing = this.#options.clock.after(PUSH_MS, () => {
      this.#pushing = null;
      for (const session of this.#open.values()) this.#tell(session);
    });
  }

  #tell(session: Session): void {
    const telling = this.#options.tellingOf(session.id);
    if (telling === session.told) return;
    const membership = this.#options.membershipOf(session.id);
    if (telling === null || membership === null) {
      this.liveness.forget(session.id);
      this.#open.delete(session.id);
      return session.stream.end(new BeltError('certificate', 'the node was removed from the cluster', { next: 'belt swarm join' }));
    }
    session.told = telling;
    session.stream.send({ membership });
  }
}

/** Milliseconds that changes are gathered before the workers are told. */
const PUSH_MS = 100;
