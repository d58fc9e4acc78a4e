/**
 * What belt needs of a container engine, in belt's words. belt forms the engine's swarm, places its managers and keeps roles, labels and
 * availability the same on both sides; it never schedules a container. `docker.ts` speaks to Docker Engine, `none.ts` is a node without one.
 */

/** A node as the engine's own swarm lists it. */
export interface EngineNode {
  /** The engine's node id (`dockerId` of a belt node). */
  readonly id: string;
  readonly hostname: string;
  readonly address: string;
  readonly role: 'manager' | 'worker';
  readonly availability: 'active' | 'pause' | 'drain';
  readonly state: 'ready' | 'down' | 'disconnected' | 'unknown';
  readonly labels: Readonly<Record<string, string>>;
  /** Null for a worker. */
  readonly reachability: 'leader' | 'reachable' | 'unreachable' | null;
  readonly version: string;
}

/** The engine of this machine and its place in a swarm. */
export interface EngineInfo {
  readonly version: string;
  readonly swarm: 'inactive' | 'pending' | 'active' | 'locked' | 'error';
  readonly nodeId: string | null;
  readonly swarmId: string | null;
  readonly isManager: boolean;
}

export interface EngineTokens {
  readonly swarmId: string;
  readonly worker: string;
  readonly manager: string;
  /** Docker's autolock: a manager's engine that restarts waits for a key that only the user has. */
  readonly autolock: boolean;
}

/** All methods reject with `BeltError`: `no_engine` where there is none, `engine` where it refuses or fails (with its own words), `timeout`. */
export interface Engine {
  readonly kind: 'docker' | 'none';
  /** Null when the engine is not there or does not answer. */
  info(signal: AbortSignal): Promise<EngineInfo | null>;
  /** Makes this engine the first manager of a swarm; `forceNew` keeps the state it has and drops all other managers. */
  init(options: { readonly advertise: string; readonly availability: EngineNode['availability']; readonly forceNew: boolean }, signal: AbortSignal): Promise<EngineTokens>;
  join(options: { readonly managers: readonly string[]; readonly token: string; readonly advertise: string; readonly availability: EngineNode['availability'] }, signal: AbortSignal): Promise<void>;
  leave(options: { readonly force: boolean }, signal: AbortSignal): Promise<void>;
  /** Managers only, as the rest of the methods. */
  tokens(signal: AbortSignal): Promise<EngineTokens>;
  nodes(signal: AbortSignal): Promise<EngineNode[]>;
  updateNode(id: string, change: Partial<Pick<EngineNode, 'role' | 'availability' | 'labels'>>, signal: AbortSignal): Promise<void>;
  removeNode(id: string, options: { readonly force: boolean }, signal: AbortSignal): Promise<void>;
  /** Where the engine keeps its data (Docker's data-root), as it last told; the usual place until it told. */
  readonly dataRoot: string;
  /** The socket that port 2376 pipes to; null where there is no engine. */
  readonly socketPath: string | null;
}
