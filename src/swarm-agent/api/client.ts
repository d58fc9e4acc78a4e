/** The calling end of `belt/1` and `belt-join/1`: one TLS connection, many requests at once. Used by operators and between agents. */
import { connect, type TLSSocket } from 'node:tls';

import { BeltError, asBeltError, isBeltError } from '../../errors.ts';
import { FRAME_LIMITS, FrameDecoder, type Frame } from '../transport/frames.ts';
import { CALLS, type CallName, type CallParams, type CallResult } from './calls.ts';
import { CALL_LIMITS, FRAME_TYPES, checked, decodeAnswer, decodeGoodbye, decodeStream, encodeRequest, encodeStream } from './wire.ts';

export interface DialOptions {
  /** `host:port`. */
  readonly address: string;
  /** How the other end is called in messages. */
  readonly machine: string;
  readonly protocol: 'belt/1' | 'belt-join/1';
  /** PEM; null on `belt-join/1`. */
  readonly identity: { readonly key: string; readonly cert: string } | null;
  /** Roots to trust, PEM; empty where `verify` decides alone. */
  readonly roots: readonly string[];
  /** Judges the other end after the handshake, from its chain and TLS's own verdict; throws `BeltError('certificate')` to hang up. */
  readonly verify: (socket: TLSSocket) => void;
  /** Whole connect and handshake, ms. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface CallOptions {
  /** Repeat of a write: the id of its first try. */
  readonly request?: string | undefined;
  /** A repeat: how long ago the first try was, ms. One that is too old to be recognised gets `outcome_unknown` instead of being done twice. */
  readonly ageMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Events that follow the answer (sessions). */
  readonly onEvent?: ((body: unknown) => void) | undefined;
}

interface Waiting {
  readonly name: CallName;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: BeltError) => void;
}

/** Opens a connection. Rejects with `BeltError`: `unreachable`, `timeout`, or what `verify` throws. */
export async function dial(options: DialOptions): Promise<CallClient> {
  const [host, port] = splitAddress(options.address);
  const socket = connect({
    host, port, ALPNProtocols: [options.protocol], minVersion: 'TLSv1.3', rejectUnauthorized: false, checkServerIdentity: () => undefined,
    ...(options.identity ?? {}), ...(options.roots.length > 0 ? { ca: [...options.roots] } : {}),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  socket.setNoDelay(true);
  const client = new CallClient(socket, options.machine);
  await handshaken(socket, options);
  try {
    options.verify(socket);
    if (socket.alpnProtocol !== options.protocol) throw new BeltError('certificate', `${options.machine} (${options.address}) does not speak ${options.protocol}`, { machine: options.machine });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return client;
}

/** `host:port` in two; IPv6 in brackets. */
export function splitAddress(address: string): [host: string, port: number] {
  const at = address.lastIndexOf(':');
  return [address.slice(0, at).replace(/^\[|\]$/g, ''), Number(address.slice(at + 1))];
}

function handshaken(socket: TLSSocket, { machine, address, timeoutMs, signal }: DialOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: BeltError): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new BeltError('unreachable', `${machine} (${address}) does not answer within ${timeoutMs} ms`, { machine })), timeoutMs);
    socket.once('error', (error) => {
      if (signal?.aborted === true) fail(new BeltError('interrupted', `the call to ${machine} was interrupted`, { machine }));
      else fail(new BeltError('unreachable', `${machine} (${address}) does not answer: ${error.message}`, { machine, cause: error }));
    });
    socket.once('close', () => fail(new BeltError('unreachable', `${machine} (${address}) closed the connection during the handshake`, { machine })));
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('close');
      socket.once('close', () => undefined);
      resolve();
    });
  });
}

/** A connection to one agent. When it ends, every call under way fails: a write with `outcome_unknown`, a read with `unreachable`. */
export class CallClient {
  readonly #socket: TLSSocket;
  readonly #machine: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #streams = new Map<number, (body: unknown) => void>();
  #next = 1;
  #underWay = 0;
  readonly #queue: Array<() => void> = [];
  #ended: BeltError | null = null;
  #onClose: Array<(error: BeltError) => void> = [];

  constructor(socket: TLSSocket, machine: string) {
    this.#socket = socket;
    this.#machine = machine;
    const decoder = new FrameDecoder(FRAME_LIMITS.call, (frame) => this.#take(frame));
    socket.on('data', (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch (error) {
        this.#end(asBeltError(error, 'bad_request', { machine }));
      }
    });
    socket.on('error', (error) => this.#end(new BeltError('unreachable', `the connection to ${machine} broke: ${error.message}`, { machine, cause: error })));
    socket.on('end', () => this.#end(new BeltError('unreachable', `${machine} closed the connection`, { machine })));
    socket.on('close', () => this.#end(new BeltError('unreachable', `the connection to ${machine} was closed`, { machine })));
  }

  get open(): boolean {
    return this.#ended === null;
  }

  get socket(): TLSSocket {
    return this.#socket;
  }

  /** Called once, at once if it is closed already. */
  onClose(handler: (error: BeltError) => void): void {
    if (this.#ended !== null) handler(this.#ended);
    else this.#onClose.push(handler);
  }

  /** Makes a call. Rejects with the agent's own `BeltError`, or `timeout` / `outcome_unknown` / `unreachable`. */
  async call<N extends CallName>(name: N, params: CallParams<N>, options: CallOptions = {}): Promise<CallResult<N>> {
    await this.#turn();
    try {
      return await this.#call(name, params, options);
    } finally {
      this.#underWay -= 1;
      this.#queue.shift()?.();
    }
  }

  /** Resolves when the agent takes one more request of this connection. */
  async #turn(): Promise<void> {
    if (this.#underWay >= CALL_LIMITS.inFlight) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#underWay += 1;
  }

  async #call<N extends CallName>(name: N, params: CallParams<N>, options: CallOptions): Promise<CallResult<N>> {
    if (this.#ended !== null) throw this.#ended;
    options.signal?.throwIfAborted();
    const id = this.#next++;
    const timeoutMs = Math.min(options.timeoutMs ?? CALL_LIMITS.timeoutMs, CALL_LIMITS.timeoutMs);
    if (options.onEvent !== undefined) this.#streams.set(id, options.onEvent);
    const { request, ageMs } = options;
    this.#socket.write(encodeRequest({ id, call: name, params, timeoutMs, ...(request === undefined ? {} : { request }), ...(ageMs === undefined ? {} : { ageMs }) }));
    try {
      const result = await this.#answer(id, name, timeoutMs, options.signal);
      return checked(CALLS[name].result, result, `the answer of ${this.#machine} to ${name}`) as CallResult<N>;
    } catch (error) {
      this.#streams.delete(id);
      throw error;
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** The number the next call will have: what notes of a session are sent under. */
  get nextId(): number {
    return this.#next;
  }

  /** Sends a note of the session that was opened as request `id`. False when the connection is gone or clogged. */
  note(id: number, body: unknown): boolean {
    return this.#ended === null && this.#socket.write(encodeStream('note', id, body));
  }

  close(): void {
    this.#end(new BeltError('unreachable', `the connection to ${this.#machine} was closed`, { machine: this.#machine }));
  }

  #answer(id: number, name: CallName, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const machine = this.#machine;
      const lost = (code: 'timeout' | 'interrupted', message: string): void => finish(() => reject(CALLS[name].write ? unknownOutcome(name, machine) : new BeltError(code, message, { machine })));
      // A little longer than the agent itself takes, so that its own reason arrives first.
      const timer = setTimeout(() => lost('timeout', `${machine} did not answer ${name} within ${timeoutMs} ms`), timeoutMs + 500);
      const onAbort = (): void => lost('interrupted', `${name} on ${machine} was interrupted`);
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        act();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(id, { name, resolve: (value) => finish(() => resolve(value)), reject: (error) => finish(() => reject(error)) });
    });
  }

  #take(frame: Frame): void {
    if (frame.type === FRAME_TYPES.answer) {
      const { id, result, error } = decodeAnswer(frame);
      const waiting = this.#waiting.get(id);
      if (error !== undefined) waiting?.reject(error);
      else waiting?.resolve(result);
    } else if (frame.type === FRAME_TYPES.event) {
      const { id, body } = decodeStream(frame);
      this.#streams.get(id)?.(body);
    } else if (frame.type === FRAME_TYPES.goodbye) this.#end(decodeGoodbye(frame));
  }

  #end(error: BeltError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    this.#socket.destroy();
    for (const { name, reject } of this.#waiting.values()) {
      // The agent said why it hung up: then the call was never begun.
      reject(CALLS[name].write && isBeltError(error, 'unreachable') ? unknownOutcome(name, this.#machine) : error);
    }
    this.#waiting.clear();
    this.#streams.clear();
    for (const handler of this.#onClose.splice(0)) handler(error);
  }
}

function unknownOutcome(name: CallName, machine: string): BeltError {
  return new BeltError('outcome_unknown', `the answer of ${machine} to ${name} was lost: the change may or may not have happened`, { machine, next: 'repeat the command: it finds out, and does nothing twice' });
}
