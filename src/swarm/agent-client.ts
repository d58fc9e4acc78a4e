/** The operator's side of the agents' API: mutual TLS as `belt/1`, one connection per agent, kept while the client lives. */
import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

import { BeltError, isBeltError } from '../errors.ts';
import { CALLS, type CallName, type CallParams, type CallResult } from '../swarm-agent/api/calls.ts';
import { dial, type CallClient } from '../swarm-agent/api/client.ts';

/** An operator's certificate and the roots it trusts, PEM. */
export interface OperatorCredentials {
  readonly clusterId: string;
  readonly key: string;
  readonly cert: string;
  /** The roots in force: two while the CA is rotated. */
  readonly roots: readonly string[];
}

/** What a certificate says its holder is (docs/architecture.md, "Identity in certificates"). */
export interface CertificateIdentity {
  readonly cluster: string;
  readonly role: 'operator' | 'manager' | 'worker' | 'machine';
  readonly name: string;
}

/** Where an agent is, and who it must turn out to be. */
export interface AgentEndpoint {
  /** The machine's name: must stand among the names of the agent's certificate. */
  readonly machine: string;
  /** `host:port`. */
  readonly address: string;
  /** Where known: the node id its certificate must carry. */
  readonly nodeId?: string | undefined;
  /** SHA-256 (hex) of the public key seen before: with it an expired server certificate is still accepted. */
  readonly pinnedKey?: string | undefined;
}

export interface AgentClientOptions {
  /** Connect and handshake, ms. Default 3,000. */
  readonly connectTimeoutMs?: number;
  /** Reads the identity out of a certificate (src/certs); throws `BeltError('certificate')`. */
  readonly identify: (certificate: X509Certificate) => CertificateIdentity;
}

export interface AgentCallOptions {
  /** How long the agent may take, ms. Default 15,000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The request id of a write (32 hex digits): the same for each repeat of it. */
  readonly request?: string | undefined;
  /** A repeat: how long ago the request was first sent, ms. */
  readonly ageMs?: number | undefined;
}

/** Calls that the agent asked must answer itself, and calls that any manager passes to the leader. */
export type NodeCall = { [N in CallName]: (typeof CALLS)[N]['plane'] extends 'node' ? N : never }[CallName];
export type ClusterCall = { [N in CallName]: (typeof CALLS)[N]['plane'] extends 'cluster' ? N : never }[CallName];

export interface AgentClient {
  /** Asks this agent. Rejects with the agent's `BeltError`, or `unreachable`, `certificate`, `timeout`, `outcome_unknown`. */
  call<N extends NodeCall>(agent: AgentEndpoint, name: N, params: CallParams<N>, options?: AgentCallOptions): Promise<CallResult<N>>;
  /**
   * Asks the managers in turn until one takes the call: an unreachable one is passed over, any other failure is the answer. A write that was
   * sent and not answered is `outcome_unknown` at once. With none reachable: `no_quorum`.
   */
  cluster<N extends ClusterCall>(managers: readonly AgentEndpoint[], name: N, params: CallParams<N>, options?: AgentCallOptions): Promise<CallResult<N>>;
  /** SHA-256 (hex) of the public key an agent showed on its connection, to be pinned. Null before the first call. */
  publicKey(agent: AgentEndpoint): string | null;
  close(): void;
}

/** A client with connections of its own; nothing is dialed before the first call. */
export function createAgentClient(credentials: OperatorCredentials, options: AgentClientOptions): AgentClient {
  const connections = new Map<string, Promise<CallClient>>();
  const keys = new Map<string, string>();

  function connection(agent: AgentEndpoint): Promise<CallClient> {
    const known = connections.get(agent.address);
    if (known !== undefined) return known;
    const fresh = dial({
      address: agent.address,
      machine: agent.machine,
      protocol: 'belt/1',
      identity: { key: credentials.key, cert: credentials.cert },
      roots: credentials.roots,
      timeoutMs: options.connectTimeoutMs ?? 3000,
      verify: (socket) => keys.set(agent.address, verifyAgent(socket, agent, credentials.clusterId, options.identify)),
    });
    connections.set(agent.address, fresh);
    const forget = (): void => {
      if (connections.get(agent.address) === fresh) connections.delete(agent.address);
    };
    fresh.then((client) => client.onClose(forget), forget);
    return fresh;
  }

  async function ask<N extends CallName>(agent: AgentEndpoint, name: N, params: CallParams<N>, call: AgentCallOptions): Promise<CallResult<N>> {
    call.signal?.throwIfAborted();
    return (await connection(agent)).call(name, params, { timeoutMs: 15_000, ...call });
  }

  return {
    call: (agent, name, params, call = {}) => ask(agent, name, params, call),
    cluster: async (managers, name, params, call = {}) => {
      let last: BeltError | null = null;
      for (const manager of managers) {
        try {
          return await ask(manager, name, params, call);
        } catch (error) {
          if (!isBeltError(error, 'unreachable')) throw error;
          last = error;
        }
      }
      throw new BeltError('no_quorum', `none of the ${managers.length} known managers answers`, { cause: last ?? undefined, next: 'belt ls shows which machines are active; belt swarm rebuild when managers are gone for good' });
    },
    publicKey: (agent) => keys.get(agent.address) ?? null,
    close: () => {
      for (const open of connections.values()) void open.then((client) => client.close(), () => undefined);
      connections.clear();
    },
  };
}

/** Throws `BeltError('certificate')` where the other end is not the agent of that machine; returns its public key's SHA-256. */
function verifyAgent(socket: TLSSocket, agent: AgentEndpoint, clusterId: string, identify: AgentClientOptions['identify']): string {
  const { machine } = agent;
  const refuse = (why: string): BeltError => new BeltError('certificate', `${machine} (${agent.address}): ${why}`, { machine, next: `belt certs renew ${machine}` });
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw refuse('the agent shows no certificate');
  const publicKey = createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('hex');
  if (!socket.authorized) {
    const verdict = String(socket.authorizationError);
    if (verdict !== 'CERT_HAS_EXPIRED') throw refuse(`the agent’s certificate is not of this cluster (${verdict})`);
    if (publicKey !== agent.pinnedKey) throw refuse(`the agent’s certificate ran out on ${certificate.validTo} and its key is not the pinned one`);
  }
  const identity = identify(certificate);
  if (identity.cluster !== clusterId) throw refuse(`the agent belongs to cluster ${identity.cluster}`);
  if (identity.role === 'operator') throw refuse('an operator’s certificate answers where an agent should');
  const isManager = identity.role !== 'machine';
  if (isManager && agent.nodeId !== undefined && identity.name !== agent.nodeId) throw refuse(`the agent is node ${identity.name}, not ${agent.nodeId}`);
  if (certificate.checkHost(machine, { subject: 'never' }) === undefined) throw refuse('the agent’s certificate is for another machine');
  return publicKey;
}
