/** The leader's end of the workers' sessions: who lives, and who is told when the membership changes. */
import { BeltError } from '../../errors.ts';
import type { CallContext, Stream } from '../api/server.ts';
import type { ManagerAddress, Membership } from '../api/shapes.ts';
import type { Clock } from '../ports.ts';
import { Liveness } from './liveness.ts';

interface Session {
  readonly id: string;
  readonly stream: Stream;
  /** Digest of the membership the worker was last sent. */
  told: string;
}

export interface SessionsOptions {
  readonly clock: Clock;
  /** What this worker shall know now; null when it is no node any more. */
  readonly membershipOf: (id: string) => Membership | null;
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
    const session: Session = { id: caller.name, stream, told: '' };
    this.#open.get(caller.name)?.stream.end(new BeltError('unreachable', 'the worker opened a newer session'));
    this.#open.set(caller.name, session);
    this.liveness.seen(caller.name, clock.monotonic());
    stream.onNote(() => {
      if (this.#open.get(session.id) !== session) return;
      this.liveness.seen(session.id, clock.monotonic());
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
    const membership = this.#options.membershipOf(session.id);
    if (membership === null) {
      this.liveness.forget(session.id);
      this.#open.delete(session.id);
      return session.stream.end(new BeltError('certificate', 'the node was removed from the cluster', { next: 'belt swarm join' }));
    }
    const told = digestOf(membership);
    if (told === session.told) return;
    session.told = told;
    session.stream.send({ membership });
  }
}

/** Milliseconds that changes are gathered before the workers are told. */
const PUSH_MS = 100;

/** What matters to a worker: the version alone changes with every write, the number of nodes with every join. */
export function digestOf(membership: Membership): string {
  const { version: _version, nodes, ...rest } = membership;
  return JSON.stringify({ ...rest, nodes: Math.ceil(Math.log2(nodes + 1)) });
}
