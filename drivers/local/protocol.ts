/**
 * What driver and host process say to each other over `host.sock` (0600 in a 0700 folder): one request a connection as a JSON
 * line, any number of `item` lines, one `end` or `error` line. Both sides check what they read.
 */
import * as v from 'valibot';
import { BeltError, ERROR_CODES, type ErrorCode } from '../../src/errors.ts';

/** Raised when the two sides would no longer understand each other; an older host is then asked to make way. */
export const PROTOCOL = 1;

const clusterShape = { cluster: v.string(), clusterId: v.string() };
const orderSchema = v.object({
  ...clusterShape,
  id: v.pipe(v.string(), v.nonEmpty()),
  machines: v.array(v.object({ name: v.string(), region: v.string(), zone: v.nullable(v.string()) })),
  type: v.string(),
  memoryMb: v.nullable(v.number()),
  image: v.nullable(v.string()),
  sshPublicKeys: v.array(v.pipe(v.string(), v.regex(/^[^\n]+$/))),
  userData: v.nullable(v.string()),
  tags: v.record(v.string(), v.string()),
  spot: v.boolean(),
});
const idsSchema = v.array(v.string());

export const requestSchema = v.variant('op', [
  v.object({ op: v.literal('hello') }),
  v.object({ op: v.literal('retire') }),
  v.object({ op: v.literal('list'), cluster: v.object(clusterShape) }),
  v.object({ op: v.literal('create'), order: orderSchema }),
  v.object({ op: v.literal('power'), ids: idsSchema, action: v.picklist(['start', 'stop', 'kill', 'reboot', 'pause', 'unpause']) }),
  v.object({ op: v.literal('resize'), ids: idsSchema, type: v.string() }),
  v.object({ op: v.literal('destroy'), ids: idsSchema }),
]);
export type LocalRequest = v.InferOutput<typeof requestSchema>;

const errorSchema = v.object({
  code: v.pipe(v.string(), v.check((code) => code in ERROR_CODES)),
  message: v.string(),
  machine: v.nullable(v.string()),
  next: v.nullable(v.string()),
  retryable: v.boolean(),
});
export type WireError = v.InferOutput<typeof errorSchema>;

export const helloSchema = v.object({ protocol: v.number(), pid: v.number() });
export const machineSchema = v.object({
  name: v.string(),
  driver: v.literal('local'),
  id: v.string(),
  status: v.picklist(['new', 'active', 'off', 'error', 'unknown']),
  publicIpv4: v.nullable(v.string()),
  privateIpv4: v.nullable(v.string()),
  sshPort: v.number(),
  sshUser: v.string(),
  memoryMb: v.nullable(v.number()),
  region: v.string(),
  datacenter: v.string(),
  image: v.nullable(v.string()),
  size: v.string(),
  createdAt: v.nullable(v.string()),
  tags: v.record(v.string(), v.string()),
});
export const createdSchema = v.union([machineSchema, v.object({ failed: v.string(), error: errorSchema })]);
export const outcomeSchema = v.union([
  v.object({ name: v.string(), ok: v.literal(true), note: v.optional(v.string()) }),
  v.object({ name: v.string(), ok: v.literal(false), error: errorSchema }),
]);
export const replySchema = v.union([v.object({ item: v.unknown() }), v.object({ end: v.literal(true) }), v.object({ error: errorSchema })]);

export function toWire(error: BeltError): WireError {
  return { ...error.toJSON(), retryable: error.retryable };
}

export function fromWire(error: WireError): BeltError {
  return new BeltError(error.code as ErrorCode, error.message, { machine: error.machine ?? undefined, next: error.next ?? undefined, retryable: error.retryable });
}
