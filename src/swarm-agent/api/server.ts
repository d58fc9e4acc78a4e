/** The answering end of `belt/1` and `belt-join/1`: reads requests off one connection, has them authorized and handled, writes the answers. */
import type { TLSSocket } from 'node:tls';

import { BeltError, asBeltError } from '../../errors.ts';
import type { Clock } from '../ports.ts';
import { FRAME_LIMITS, FrameDecoder, type Frame } from '../transport/frames.ts';
import { authorize, type CallerIdentity } from './authorize.ts';
import { CALLS, type CallName, type CallResult, type CheckedParams } from './calls.ts';
import { CALL_LIMITS, FRAME_TYPES, checked, decodeRequest, decodeStream, encodeFailure, encodeGoodbye, encodeResult, encodeStream, type Request } from './wire.ts';

/** A session's own channel, after its call was answered. */
export interface Stream {
  /** False when the connection is gone, or holds more than it may: then it is cut. */
  send(event: unknown): boolean;
  onNote(handler: (body: unknown) => void): void;
  onClose(handler: () => void): void;
  /** Ends the connection and says why. */
  end(why: BeltError): void;
}

export interface CallContext {
  readonly caller: CallerIdentity;
  /** The request id of a write, null where the caller gave none. */
  readonly request: string | null;
  /** When a repeated request was sent for the first time, by this agent's clock (ms since 1970); null for a first try. */
  readonly first: number | null;
  /** When the caller stops waiting, monotonic ms. */
  readonly deadline: number;
  readonly stream: Stream;
}

/** What answers each call. */
export type Handlers = { readonly [N in CallName]: (params: CheckedParams<N>, context: CallContext) => Promise<CallResult<N>> };

export interface Served {
  readonly caller: CallerIdentity;
  readonly serial: string | null;
  /** Says why and closes. */
  end(why: BeltError): void;
}

export interface ServeOptions {
  readonly clock: Clock;
  readonly handlers: Handlers;
  /** Judges the caller again before each call: its certificate may have been revoked or its role lowered meanwhile. Throws to hang up. */
  readonly recheck: (caller: CallerIdentity, serial: string | null) => CallerIdentity;
  /** A bug of ours, for the log; the caller is told `failed`. */
  readonly onBug: (call: string, error: unknown) => void;
}

/** Bytes a connection may have unsent before it is cut: the largest answer twice. */
const UNSENT_BYTES_MAX = 2 * FRAME_LIMITS.call;

/** How long a connection that ends may take to answer what is under way, and its caller to close its half, ms. */
const END_GRACE_MS = 1000;

/** Serves a connection of `belt/1` until it closes. `notAfterMs`: when the caller's certificate runs out, and the connection with it. */
export function serveCalls(socket: TLSSocket, caller: CallerIdentity, serial: string, notAfterMs: number, options: ServeOptions): Served {
  const connection = new Connection(socket, caller, serial, 'call', options);
  connection.endAt(notAfterMs - options.clock.now(), new BeltError('certificate', `the certificate of ${caller.role} ${caller.name} has run out`, { next: 'belt certs renew' }));
  return connection;
}

/** Serves the one request of `belt-join/1`. */
export function serveJoin(socket: TLSSocket, options: ServeOptions): Served {
  const connection = new Connection(socket, { role: 'none', name: '' }, null, 'join', options);
  connection.endAt(CALL_LIMITS.joinTimeoutMs, new BeltError('timeout', 'the join took too long'));
  return connection;
}

/** Tells a caller that gets no further why, then closes; one that does not close its half within `graceMs` is cut, for anybody may be refused, and connections are counted. */
export function refuse(socket: TLSSocket, why: BeltError, graceMs: number = END_GRACE_MS): void {
  const timer = setTimeout(() => socket.destroy(), graceMs);
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => undefined);
  socket.resume();
  socket.end(encodeGoodbye(why));
}

class Connection implements Served {
  readonly caller: CallerIdentity;
  readonly serial: string | null;
  readonly #socket: TLSSocket;
  readonly #protocol: 'call' | 'join';
  readonly #options: ServeOptions;
  readonly #notes = new Map<number, (body: unknown) => void>();
  readonly #onClose: Array<() => void> = [];
  #underWay = 0;
  #requests = 0;
  /** Why the connection is about to end; nothing is begun any more. */
  #ending: BeltError | null = null;

  constructor(socket: TLSSocket, caller: CallerIdentity, serial: string | null, protocol: 'call' | 'join', options: ServeOptions) {
    this.#socket = socket;
    this.caller = caller;
    this.serial = serial;
    this.#protocol = protocol;
    this.#options = options;
    const decoder = new FrameDecoder(protocol === 'join' ? FRAME_LIMITS.join : FRAME_LIMITS.call, (frame) => this.#take(frame));
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!socket.writableEnded) decoder.push(chunk);
      } catch (error) {
        this.end(asBeltError(error, 'bad_request'));
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const handler of this.#onClose.splice(0)) handler();
    });
  }

  endAt(ms: number, why: BeltError): void {
    this.#onClose.push(this.#options.clock.after(ms, () => this.end(why)));
  }

  /** A goodbye tells the caller that nothing unanswered was begun, so what is under way is answered first. Whoever is not done or gone soon is cut. */
  end(why: BeltError): void {
    if (this.#ending !== null || this.#socket.writableEnded) return;
    this.#ending = why;
    if (this.#underWay === 0) this.#socket.end(encodeGoodbye(why));
    this.#onClose.push(this.#options.clock.after(END_GRACE_MS, () => this.#socket.destroy()));
  }

  #take(frame: Frame): void {
    if (this.#ending !== null) return;
    if (frame.type === FRAME_TYPES.note) {
      const { id, body } = decodeStream(frame);
      this.#notes.get(id)?.(body);
    } else if (frame.type === FRAME_TYPES.request) void this.#serve(decodeRequest(frame));
  }

  async #serve(request: Request): Promise<void> {
    if (this.#underWay >= CALL_LIMITS.inFlight) return void this.#write(encodeFailure(request.id, new BeltError('refused', `more than ${CALL_LIMITS.inFlight} calls at once on one connection`, { retryable: true })));
    if (this.#protocol === 'join' && this.#requests > 0) return this.end(new BeltError('bad_request', 'a join is one call'));
    this.#requests += 1;
    this.#underWay += 1;
    try {
      const result = await this.#handle(request);
      this.#write(encodeResult(request.id, result));
    } catch (error) {
      if (!(error instanceof BeltError)) this.#options.onBug(request.call, error);
      this.#write(encodeFailure(request.id, asBeltError(error)));
    } finally {
      this.#underWay -= 1;
      if (this.#ending !== null && this.#underWay === 0 && !this.#socket.destroyed) this.#socket.end(encodeGoodbye(this.#ending));
    }
  }

  async #handle(request: Request): Promise<unknown> {
    let caller: CallerIdentity;
    try {
      caller = this.#options.recheck(this.caller, this.serial);
    } catch (error) {
      this.end(asBeltError(error, 'certificate'));
      throw error;
    }
    const name = authorize(request.call, caller, this.#protocol);
    const params = checked(CALLS[name].params, request.params, name);
    const deadline = this.#options.clock.monotonic() + (request.timeoutMs ?? CALL_LIMITS.timeoutMs);
    const handler = this.#options.handlers[name] as (params: unknown, context: CallContext) => Promise<unknown>;
    const first = request.ageMs === undefined ? null : this.#options.clock.now() - request.ageMs;
    return handler(params, { caller, request: request.request ?? null, first, deadline, stream: this.#stream(request.id) });
  }

  #stream(id: number): Stream {
    return {
      send: (event) => this.#write(encodeStream('event', id, event)),
      onNote: (handler) => void this.#notes.set(id, handler),
      onClose: (handler) => {
        if (this.#socket.destroyed) handler();
        else this.#onClose.push(handler);
      },
      end: (why) => this.end(why),
    };
  }

  #write(bytes: Buffer): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return false;
    if (this.#socket.writableLength > UNSENT_BYTES_MAX) {
      this.#socket.destroy();
      return false;
    }
    this.#socket.write(bytes);
    return true;
  }
}
