/** `ROOT/etc/belt/agent.json`: what bootstrap tells a machine about itself. The agent only reads it. */
import * as v from 'valibot';

import { BeltError } from '../../errors.ts';
import { Address, MachineName } from '../api/shapes.ts';
import { checkConfig } from '../raft/config.ts';

const text = v.pipe(v.string(), v.maxLength(256));

export const AgentConfig = v.object({
  version: v.literal(1),
  /** The cluster's id and name. */
  clusterId: text,
  clusterName: text,
  machine: MachineName,
  /** Where others reach this agent, `host:port`; the port is 2378 but in tests. */
  address: Address,
  /** Where it listens, `host:port`; the address itself on `local`, `0.0.0.0:2378` on a machine with more than one. */
  listen: Address,
  /** `driver:region` or `driver:region/zone`. */
  datacenter: text,
  driver: v.nullable(text),
  region: v.nullable(text),
  size: v.nullable(text),
  publicIpv4: v.nullable(text),
  privateIpv4: v.nullable(text),
  /** How long certificates live that this agent signs as a manager, ms; not there: 30 days. Seconds only in drills. */
  certificateLifetimeMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(2_000), v.maxValue(90 * 86_400_000))),
  /** Raft's limits where they are not the defaults; a manager checks them when it starts. */
  raft: v.optional(v.record(v.string(), v.number())),
});
export type AgentConfig = v.InferOutput<typeof AgentConfig>;

/** `electionMsMin=300` … as `agent.json` holds them; null where there are none. Throws `config` with every mistake. */
export function raftLimits(settings: readonly string[]): Record<string, number> | null {
  if (settings.length === 0) return null;
  const limits = Object.fromEntries(settings.map((setting) => setting.split('=')).map(([name, value]) => [name, Number(value)] as const));
  checkConfig(limits);
  return limits;
}

/** Checks the text of `agent.json`. Throws `BeltError`: `state_newer`, or `config` with the first key that is wrong. */
export function parseAgentConfig(text: string, path: string): AgentConfig {
  const value = json(text, path);
  if (typeof value === 'object' && value !== null && 'version' in value && typeof value.version === 'number' && value.version > 1) {
    throw new BeltError('state_newer', `${path} was written by a newer belt (format ${value.version}, this agent reads 1)`);
  }
  const outcome = v.safeParse(AgentConfig, value);
  if (outcome.success) return outcome.output;
  const issue = outcome.issues[0];
  throw new BeltError('config', `${path}: ${v.getDotPath(issue) ?? 'content'}: ${issue.message}`, { next: 'belt bootstrap writes it again' });
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BeltError('state_damaged', `${path} is no JSON`, { cause: error, next: 'belt bootstrap writes it again' });
  }
}
