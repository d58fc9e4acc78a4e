/**
 * Docker Engine on its local socket, in the words of `engine.ts`. The client is dockerode (its SSH and BuildKit parts are left out of the bundle).
 *
 * What swarmkit does that its answers do not tell (manager/controlapi/node.go, manager/role_manager.go, manager/state/raft/raft.go):
 * - a demotion is accepted in the node's spec and carried out later, or put off silently while it would cost the quorum. Read the list, not the answer.
 * - a manager that is a Raft member is never removed, `force` or not: demote, wait until it is a worker, then remove.
 * - joins are taken one at a time by the leader, who must reach the joiner's advertised address on 2377.
 */
import Docker from 'dockerode';

import { BeltError, isBeltError } from '../../errors.ts';
import type { Engine, EngineInfo, EngineNode, EngineTokens } from './engine.ts';

export const DOCKER_SOCKET = '/var/run/docker.sock';
/** Swarm's own port. */
const SWARM_PORT = 2377;

interface SwarmInfo {
  readonly LocalNodeState: string;
  readonly NodeID?: string;
  readonly ControlAvailable?: boolean;
  readonly Cluster?: { readonly ID?: string } | null;
}

interface ApiInfo {
  readonly ServerVersion: string;
  readonly DockerRootDir?: string;
  readonly Swarm?: SwarmInfo;
}

interface ApiNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name?: string; readonly Role: 'manager' | 'worker'; readonly Availability: EngineNode['availability']; readonly Labels?: Record<string, string> };
  readonly Description: { readonly Hostname?: string; readonly Engine?: { readonly EngineVersion?: string } };
  readonly Status: { readonly State: string; readonly Addr?: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability?: string; readonly Addr?: string };
}

interface ApiSwarm {
  readonly ID: string;
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
  readonly Spec?: { readonly EncryptionConfig?: { readonly AutoLockManagers?: boolean } };
}

interface Failure {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message?: string;
  readonly json?: { readonly message?: string };
}

/** What the engine said, in its own words, as a `BeltError`. */
function engineError(error: unknown, what: string): BeltError {
  if (isBeltError(error)) return error;
  const failure = error as Failure;
  const said = (failure.json?.message ?? failure.message ?? String(error)).trim();
  if (failure.code === 'ENOENT' || failure.code === 'ECONNREFUSED') return new BeltError('no_engine', `Docker Engine is not there: ${said}`, { cause: error, retryable: true });
  if (failure.code === 'ABORT_ERR') return new BeltError('timeout', `${what}: Docker Engine took too long`, { cause: error });
  // 503: no leader at the moment, or the swarm lost its quorum. The same call may succeed later.
  return new BeltError('engine', `${what}: ${said}`, { cause: error, retryable: failure.statusCode === 503 || failure.statusCode === 500 });
}

function toEngineInfo(info: ApiInfo): EngineInfo {
  const swarm = info.Swarm;
  const states = ['inactive', 'pending', 'active', 'locked'] as const;
  return {
    version: info.ServerVersion,
    swarm: states.find((state) => state === swarm?.LocalNodeState) ?? 'error',
    nodeId: swarm?.NodeID === undefined || swarm.NodeID === '' ? null : swarm.NodeID,
    // Without a quorum the engine answers with an empty one.
    swarmId: swarm?.Cluster?.ID || null,
    isManager: swarm?.ControlAvailable ?? false,
  };
}

/** A node as Docker's API gives it (GET /nodes), in belt's words. */
export function toEngineNode(node: ApiNode): EngineNode {
  const states = ['ready', 'down', 'disconnected'] as const;
  const manager = node.ManagerStatus;
  return {
    id: node.ID,
    hostname: node.Description.Hostname ?? '',
    // A manager's own status address is 0.0.0.0 on itself; what it advertises is right.
    address: manager?.Addr === undefined ? (node.Status.Addr ?? '') : manager.Addr.replace(/:\d+$/, ''),
    role: node.Spec.Role,
    availability: node.Spec.Availability,
    state: states.find((state) => state === node.Status.State) ?? 'unknown',
    labels: node.Spec.Labels ?? {},
    reachability: manager === undefined ? null : manager.Leader === true ? 'leader' : manager.Reachability === 'reachable' ? 'reachable' : 'unreachable',
    version: node.Description.Engine?.EngineVersion ?? '',
  };
}

/** How often a change of a node's spec is tried again when somebody else changed it in between. */
const UPDATE_TRIES = 5;

class DockerEngine implements Engine {
  readonly kind = 'docker';
  readonly socketPath: string;
  dataRoot = '/var/lib/docker';
  readonly #docker: Docker;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.#docker = new Docker({ socketPath });
  }

  async info(signal: AbortSignal): Promise<EngineInfo | null> {
    try {
      const info = await this.#call<ApiInfo>('GET', '/info', undefined, signal);
      this.dataRoot = info.DockerRootDir || this.dataRoot;
      return toEngineInfo(info);
    } catch {
      return null;
    }
  }

  async init(options: Parameters<Engine['init']>[0], signal: AbortSignal): Promise<EngineTokens> {
    try {
      await this.#call('POST', '/swarm/init', {
        ListenAddr: `0.0.0.0:${SWARM_PORT}`, AdvertiseAddr: options.advertise, ForceNewCluster: options.forceNew, Availability: options.availability,
      }, signal);
    } catch (error) {
      // Asked again after a crash: the swarm that is there is the one that was made.
      if (options.forceNew || (error as Failure).statusCode !== 503 || !(await this.info(signal))?.isManager) throw engineError(error, 'the swarm is not formed');
    }
    return this.tokens(signal);
  }

  async join(options: Parameters<Engine['join']>[0], signal: AbortSignal): Promise<void> {
    try {
      await this.#call('POST', '/swarm/join', {
        ListenAddr: `0.0.0.0:${SWARM_PORT}`, AdvertiseAddr: options.advertise, Availability: options.availability, JoinToken: options.token,
        RemoteAddrs: options.managers.map((manager) => (manager.includes(':') ? manager : `${manager}:${SWARM_PORT}`)),
      }, signal);
    } catch (error) {
      throw engineError(error, 'the engine did not join');
    }
  }

  async leave(options: { readonly force: boolean }, signal: AbortSignal): Promise<void> {
    try {
      await this.#call('POST', '/swarm/leave', undefined, signal, { force: String(options.force) });
    } catch (error) {
      // 503 "not part of a swarm": as asked.
      if ((error as Failure).statusCode === 503 && (await this.info(signal))?.swarm === 'inactive') return;
      throw engineError(error, 'the engine did not leave');
    }
  }

  async tokens(signal: AbortSignal): Promise<EngineTokens> {
    try {
      const swarm = await this.#call<ApiSwarm>('GET', '/swarm', undefined, signal);
      const { ID, JoinTokens, Spec } = swarm;
      return { swarmId: ID, worker: JoinTokens.Worker, manager: JoinTokens.Manager, autolock: Spec?.EncryptionConfig?.AutoLockManagers ?? false };
    } catch (error) {
      throw engineError(error, 'the swarm’s tokens cannot be read');
    }
  }

  async nodes(signal: AbortSignal): Promise<EngineNode[]> {
    try {
      return (await this.#call<ApiNode[]>('GET', '/nodes', undefined, signal)).map(toEngineNode);
    } catch (error) {
      throw engineError(error, 'the swarm’s nodes cannot be listed');
    }
  }

  async updateNode(id: string, change: Parameters<Engine['updateNode']>[1], signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const node = await this.#call<ApiNode>('GET', `/nodes/${encodeURIComponent(id)}`, undefined, signal);
        const spec = {
          ...node.Spec,
          ...(change.role === undefined ? {} : { Role: change.role }),
          ...(change.availability === undefined ? {} : { Availability: change.availability }),
          ...(change.labels === undefined ? {} : { Labels: change.labels }),
        };
        await this.#call('POST', `/nodes/${encodeURIComponent(id)}/update`, spec, signal, { version: String(node.Version.Index) });
        return;
      } catch (error) {
        if (attempt < UPDATE_TRIES && /out of sequence/.test((error as Failure).json?.message ?? '')) continue;
        throw engineError(error, 'the swarm’s node was not changed');
      }
    }
  }

  async removeNode(id: string, options: { readonly force: boolean }, signal: AbortSignal): Promise<void> {
    try {
      await this.#call('DELETE', `/nodes/${encodeURIComponent(id)}`, undefined, signal, { force: String(options.force) });
    } catch (error) {
      if ((error as Failure).statusCode !== 404) throw engineError(error, 'the swarm’s node was not removed');
    }
  }

  /** One call of the Engine API. dockerode's methods take no signal for these, its transport does. */
  #call<T>(method: string, path: string, body: object | undefined, signal: AbortSignal, query?: Record<string, string>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const options = {
        // Its own convention: a path that ends in `?` takes the query from `_query`.
        path: query === undefined ? path : `${path}?`, method, abortSignal: signal, options: { _body: body ?? {}, ...(query === undefined ? {} : { _query: query }) },
        statusCodes: { 200: true, 201: true, 204: true, 400: 'bad request', 404: 'not found', 406: 'not acceptable', 409: 'conflict', 500: 'server error', 503: 'unavailable' },
      };
      this.#docker.modem.dial(options, (error: unknown, result: unknown) => (error === null || error === undefined ? resolve(result as T) : reject(error as Error)));
    });
  }
}

/** Docker Engine behind `socketPath`. Nothing is asked of it yet. */
export function dockerEngine(socketPath: string = DOCKER_SOCKET): Engine {
  return new DockerEngine(socketPath);
}
