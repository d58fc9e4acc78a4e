/** What belt remembers of a cluster. The cloud's own list wins over it; it is here so that intent outlives a crash and names lead to ids. */
import * as v from 'valibot';

const text = v.string();
const textOrNull = v.nullable(v.string());
const numberOrNull = v.nullable(v.number());

const MachineRecord = v.object({
  name: text, driver: text, id: text,
  status: v.picklist(['new', 'active', 'off', 'error', 'unknown']),
  publicIpv4: textOrNull, privateIpv4: textOrNull, sshPort: v.number(), sshUser: text,
  memoryMb: numberOrNull, region: text, datacenter: text, image: textOrNull, size: text, createdAt: textOrNull,
  tags: v.record(v.string(), v.string()),
});

const OrderRecord = v.object({
  id: text,
  driver: text,
  /** What was asked, in native terms; a repeat with the same asks is the same order. */
  type: text, memoryMb: numberOrNull, image: textOrNull, spot: v.boolean(),
  /** Machines not yet known to be made or refused. */
  machines: v.array(v.object({ name: text, region: text, zone: textOrNull })),
  /** ISO 8601, UTC. */
  askedAt: text,
  /** What the machines boot with, kept so that a repeat asks for the very same: the throw-away host key's public line, and the user data. */
  contact: v.optional(v.object({ hostKey: text, userData: text })),
});

const HostKeyRecord = v.object({
  /** OpenSSH public key lines that the machine may show. */
  keys: v.array(text),
  /** How the key came to be trusted: put there by belt's user data, or seen first. */
  source: v.picklist(['injected', 'first-sight', 'bootstrap']),
  pinnedAt: text,
});

export const StateBody = v.object({
  cluster: v.object({ name: text, id: v.pipe(text, v.regex(/^[0-9a-f]{32}$/)), createdAt: text }),
  machines: v.record(text, MachineRecord),
  orders: v.record(text, OrderRecord),
  hostKeys: v.record(text, HostKeyRecord),
  /** Names whose destruction was asked and not yet confirmed by the cloud: name → driver and id. */
  removals: v.record(text, v.object({ driver: text, id: text, askedAt: text })),
});

/** Mutable on purpose: {@link StateStore.change} is the one place that changes it. */
export type ClusterState = v.InferOutput<typeof StateBody>;
export type MachineRecord = v.InferOutput<typeof MachineRecord>;
export type OrderRecord = v.InferOutput<typeof OrderRecord>;
export type HostKeyRecord = v.InferOutput<typeof HostKeyRecord>;

export function emptyState(name: string, id: string, createdAt: string): ClusterState {
  return { cluster: { name, id, createdAt }, machines: {}, orders: {}, hostKeys: {}, removals: {} };
}
