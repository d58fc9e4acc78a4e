/**
 * The messages of `belt/1` and `belt-join/1`: JSON in frames. A client numbers its requests, the agent answers each once; a session goes
 * on after its answer with events (agent to client) and notes (client to agent) under the number of its request.
 */
import * as v from 'valibot';

import { BeltError, ERROR_CODES, type ErrorCode } from '../../errors.ts';
import { encodeFrame, type Frame } from '../transport/frames.ts';
import { Id } from './shapes.ts';

/** Frame types. `goodbye` says why the agent is about to close the connection: a refused certificate, a limit, a stop. */
export const FRAME_TYPES = { request: 1, answer: 2, event: 3, note: 4, goodbye: 5 } as const;

/** Bounds on one connection. */
export const CALL_LIMITS = {
  /** Requests under way on one connection. */
  inFlight: 64,
  /** The longest an agent works on a call, ms; a client may ask for less. */
  timeoutMs: 120_000,
  /** How long an agent waits for the one request of a join, ms. */
  joinTimeoutMs: 15_000,
} as const;

const number = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER));

const Request = v.object({
  id: number,
  call: v.pipe(v.string(), v.maxLength(64)),
  params: v.optional(v.unknown(), {}),
  /** Makes a repeat of a write harmless. */
  request: v.optional(Id),
  /** A repeat: how long ago the request was sent for the first time, ms. No point in time, for the caller's clock may be wrong. */
  ageMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  /** How long the caller waits, ms. */
  timeoutMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(CALL_LIMITS.timeoutMs))),
});
export type Request = v.InferOutput<typeof Request>;

const WireError = v.object({
  code: v.string(),
  message: v.string(),
  machine: v.nullish(v.string()),
  next: v.nullish(v.string()),
  retryable: v.nullish(v.boolean()),
  retryAfterMs: v.nullish(v.number()),
});

const Answer = v.object({ id: number, result: v.optional(v.unknown()), error: v.optional(WireError) });
const Event = v.object({ id: number, body: v.unknown() });

/** Frames for each message. */
export function encodeRequest(request: Request): Buffer {
  return encodeFrame(FRAME_TYPES.request, JSON.stringify(request));
}
export function encodeResult(id: number, result: unknown): Buffer {
  return encodeFrame(FRAME_TYPES.answer, JSON.stringify({ id, result: result ?? {} }));
}
export function encodeFailure(id: number, error: BeltError): Buffer {
  return encodeFrame(FRAME_TYPES.answer, JSON.stringify({ id, error: wireError(error) }));
}
export function encodeGoodbye(error: BeltError): Buffer {
  return encodeFrame(FRAME_TYPES.goodbye, JSON.stringify(wireError(error)));
}
export function encodeStream(type: 'event' | 'note', id: number, body: unknown): Buffer {
  return encodeFrame(FRAME_TYPES[type], JSON.stringify({ id, body }));
}

/** Decoders throw `BeltError('bad_request')` on what does not fit. */
export function decodeRequest(frame: Frame): Request {
  return parse(Request, frame);
}
export function decodeAnswer(frame: Frame): { id: number; result?: unknown; error?: BeltError } {
  const { id, result, error } = parse(Answer, frame);
  return error === undefined ? { id, result } : { id, error: toBeltError(error) };
}
export function decodeStream(frame: Frame): { id: number; body: unknown } {
  const { id, body } = parse(Event, frame);
  return { id, body };
}
export function decodeGoodbye(frame: Frame): BeltError {
  return toBeltError(parse(WireError, frame));
}

/** `value` checked by `schema`, or `BeltError('bad_request')` that names the first thing that does not fit in `what`. */
export function checked<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const outcome = v.safeParse(schema, value);
  if (outcome.success) return outcome.output;
  const issue = outcome.issues[0];
  const path = v.getDotPath(issue);
  throw new BeltError('bad_request', `${what}: ${path === null ? '' : `${path}: `}${issue.message}`);
}

function parse<S extends v.GenericSchema>(schema: S, frame: Frame): v.InferOutput<S> {
  let value: unknown;
  try {
    value = JSON.parse(frame.payload.toString('utf8'));
  } catch (error) {
    throw new BeltError('bad_request', 'a message is no JSON', { cause: error });
  }
  return checked(schema, value, 'a message of the wire');
}

function wireError(error: BeltError): v.InferInput<typeof WireError> {
  return { ...error.toJSON(), retryable: error.retryable, retryAfterMs: error.retryAfterMs ?? null };
}

/** A newer agent may know codes that this release does not: they are kept as plain failures. */
function toBeltError(error: v.InferOutput<typeof WireError>): BeltError {
  const code: ErrorCode = Object.hasOwn(ERROR_CODES, error.code) ? (error.code as ErrorCode) : 'failed';
  const { message, machine, next, retryable, retryAfterMs } = error;
  return new BeltError(code, message, { machine: machine ?? undefined, next: next ?? undefined, retryable: retryable ?? undefined, retryAfterMs: retryAfterMs ?? undefined });
}
