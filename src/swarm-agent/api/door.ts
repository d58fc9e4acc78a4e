/** Who is connected to this agent's calls: lets callers in, and sends them away again when what they showed counts no more. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

import { signedByOne } from '../../certs/identity.ts';
import { BeltError } from '../../errors.ts';
import type { Identity } from '../identity/identity.ts';
import type { Clock, Log } from '../ports.ts';
import type { PeerIdentity } from '../transport/identity.ts';
import type { CallerIdentity } from './authorize.ts';
import { JOIN_RATE, RateLimiter } from './limiter.ts';
import { refuse, serveCalls, serveJoin, type Handlers, type ServeOptions, type Served } from './server.ts';

export interface DoorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: Identity;
  readonly handlers: Handlers;
  /** What the cluster's state says of a caller's role. */
  readonly effective: (caller: CallerIdentity) => CallerIdentity;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #serve: ServeOptions;
  readonly #joins: RateLimiter;
  /** Everybody inside, with the certificate shown; null for a joiner. */
  readonly #inside = new Map<Served, X509Certificate | null>();

  constructor(options: DoorOptions) {
    const { clock, log, handlers } = options;
    this.#options = options;
    this.#joins = new RateLimiter(JOIN_RATE, clock.monotonic());
    this.#serve = {
      clock, handlers,
      recheck: (caller, serial) => this.#recheck(caller, serial),
      onBug: (call, error) => log(`bug in ${call}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
    };
  }

  /** A caller whose certificate was judged already. */
  admit(socket: TLSSocket, { role, name, serial }: PeerIdentity): void {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return refuse(socket, new BeltError('certificate', 'the other side showed no certificate'));
    this.#keep(socket, serveCalls(socket, { role, name }, serial, certificate.validToDate.getTime(), this.#serve), certificate);
  }

  /** Anybody at all, for one call. */
  admitJoiner(socket: TLSSocket): void {
    const wait = this.#joins.take(this.#options.clock.monotonic());
    if (wait > 0) refuse(socket, new BeltError('refused', 'too many joins at once', { retryable: true, retryAfterMs: wait }));
    else this.#keep(socket, serveJoin(socket, this.#serve), null);
  }

  /** Sends away whose certificate is revoked, or of a CA that was replaced. */
  review(): void {
    const { revoked, roots } = this.#options.identity;
    for (const [served, certificate] of this.#inside) {
      const { caller, serial } = served;
      if (serial !== null && revoked.has(serial)) served.end(revokedError(caller));
      else if (certificate !== null && !signedByOne(certificate, roots)) served.end(new BeltError('certificate', `the certificate of ${caller.role} ${caller.name} is of a CA that was replaced`));
    }
  }

  #keep(socket: TLSSocket, served: Served, certificate: X509Certificate | null): void {
    this.#inside.set(served, certificate);
    socket.once('close', () => this.#inside.delete(served));
  }

  #recheck(caller: CallerIdentity, serial: string | null): CallerIdentity {
    if (serial !== null && this.#options.identity.revoked.has(serial)) throw revokedError(caller);
    return this.#options.effective(caller);
  }
}

function revokedError({ role, name }: CallerIdentity): BeltError {
  return new BeltError('certificate', `the certificate of ${role} ${name} is revoked`, { next: 'ask for a new one: belt certs renew, belt certs operator' });
}
