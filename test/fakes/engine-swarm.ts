/**
 * Docker Engines in swarm mode, in memory: as many engines as a test wants, with swarmkit's manners. A role change shows in the member list some
 * looks after the spec; a demotion that would cost the quorum is accepted and put off silently; the last manager is not demoted; a manager is not
 * removed; without a quorum nothing is answered; a forced new cluster keeps the nodes and drops the other managers.
 */
import { BeltError } from '../../src/errors.ts';
import type { Engine, EngineInfo, EngineNode, EngineTokens } from '../../src/swarm-agent/engine/engine.ts';

interface Swarm {
  readonly id: string;
  nodes: Map<string, EngineNode>;
  /** Docker ids of Raft's members. */
  members: Set<string>;
  autolock: boolean;
}

const refuse = (message: string): BeltError => new BeltError('engine', message);

/** All engines of one test. */
export class EngineWorld {
  readonly engines = new Map<string, FakeEngine>();
  /** Everything that changed a role in a spec, in order, for asserting on it. */
  readonly roleChanges: string[] = [];
  /** Looks at the list that a role change lasts beyond the first. */
  slowness = 0;
  /** Looks at each change that is due. */
  readonly looks = new Map<string, number>();
  #count = 0;

  engine(name: string): FakeEngine {
    const engine = new FakeEngine(this, name);
    this.engines.set(name, engine);
    return engine;
  }

  nextId(kind: string): string {
    this.#count += 1;
    return `${kind}${this.#count}`;
  }

  /** Whether the engine of that id runs and belongs to this swarm (not to one that went on without it). */
  up(dockerId: string, swarm: Swarm): boolean {
    return [...this.engines.values()].some((engine) => engine.running && !engine.locked && engine.dockerId === dockerId && engine.swarm === swarm);
  }

  byToken(token: string): { swarm: Swarm; role: 'manager' | 'worker' } | null {
    for (const engine of this.engines.values()) {
      const { swarm } = engine;
      if (swarm === null) continue;
      if (token === `worker-${swarm.id}`) return { swarm, role: 'worker' };
      if (token === `manager-${swarm.id}`) return { swarm, role: 'manager' };
    }
    return null;
  }
}

export class FakeEngine implements Engine {
  readonly kind = 'docker';
  readonly socketPath = '/nowhere';
  readonly dataRoot = '/nowhere';
  readonly name: string;
  readonly #world: EngineWorld;
  running = true;
  swarm: Swarm | null = null;
  dockerId: string | null = null;
  /** Restarted under autolock: it says so and does nothing else. */
  locked = false;

  constructor(world: EngineWorld, name: string) {
    this.#world = world;
    this.name = name;
  }

  info(): Promise<EngineInfo | null> {
    if (!this.running) return Promise.resolve(null);
    if (this.locked) return Promise.resolve({ version: '20.10', swarm: 'locked', nodeId: null, swarmId: null, isManager: false });
    const isManager = this.swarm !== null && this.dockerId !== null && this.swarm.members.has(this.dockerId);
    return Promise.resolve({ version: '20.10', swarm: this.swarm === null ? 'inactive' : 'active', nodeId: this.dockerId, swarmId: isManager ? (this.swarm?.id ?? null) : null, isManager });
  }

  async init({ availability, forceNew }: Parameters<Engine['init']>[0]): Promise<EngineTokens> {
    this.#mustRun();
    if (this.swarm !== null && forceNew) {
      if (this.swarm.autolock) {
        // moby/moby#36852
        this.swarm = null;
        throw refuse('Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.');
      }
      // A swarm of its own from here on, with the nodes it knew; the others keep what they had.
      const old = this.swarm;
      this.swarm = { id: old.id, nodes: new Map(old.nodes), members: new Set([this.dockerId ?? '']), autolock: false };
      // Workers find the survivor by themselves.
      for (const engine of this.#world.engines.values()) if (engine.swarm === old && !old.members.has(engine.dockerId ?? '')) engine.swarm = this.swarm;
    } else if (this.swarm === null) {
      this.swarm = { id: this.#world.nextId('swarm'), nodes: new Map(), members: new Set(), autolock: false };
      this.#enter(this.swarm, 'manager', availability);
    }
    return this.tokens();
  }

  async join({ token, managers, availability }: Parameters<Engine['join']>[0]): Promise<void> {
    this.#mustRun();
    if (this.swarm !== null) throw refuse('This node is already part of a swarm.');
    const found = [...this.#world.engines.values()].find((engine) => managers.includes(engine.name) && engine.swarm !== null && engine.#hasQuorum());
    const role = found?.swarm == null ? undefined : token === `worker-${found.swarm.id}` ? 'worker' : token === `manager-${found.swarm.id}` ? 'manager' : undefined;
    if (found?.swarm == null || role === undefined) throw refuse('rpc error: could not join');
    this.swarm = found.swarm;
    this.#enter(found.swarm, role, availability);
    await Promise.resolve();
  }

  leave(): Promise<void> {
    this.#mustRun();
    this.swarm = null;
    this.dockerId = null;
    return Promise.resolve();
  }

  async tokens(): Promise<EngineTokens> {
    const swarm = this.#manages();
    return Promise.resolve({ swarmId: swarm.id, worker: `worker-${swarm.id}`, manager: `manager-${swarm.id}`, autolock: swarm.autolock });
  }

  /** Every look, once slow Docker has been looked at for long enough, carries out one role change that is due: what was promoted enters Raft, what was demoted leaves it if that is safe. */
  async nodes(): Promise<EngineNode[]> {
    const swarm = this.#manages();
    const list = this.#list(swarm);
    const due = list.find((node) => (node.role === 'manager' ? node.reachability === null && node.state === 'ready' : node.reachability !== null));
    if (due !== undefined) {
      const change = `${due.id} ${due.role}`;
      const looks = this.#world.looks.get(change) ?? 0;
      this.#world.looks.set(change, looks + 1);
      if (looks < this.#world.slowness) return list;
      this.#world.looks.delete(change);
      if (due.role === 'manager') swarm.members.add(due.id);
      else if (this.#reachable(swarm, due.id) >= Math.floor((swarm.members.size - 1) / 2) + 1) swarm.members.delete(due.id);
    }
    return Promise.resolve(list);
  }

  async updateNode(id: string, change: Parameters<Engine['updateNode']>[1]): Promise<void> {
    const swarm = this.#manages();
    const node = swarm.nodes.get(id);
    if (node === undefined) throw refuse(`node ${id} not found`);
    if (change.role === 'worker' && swarm.members.size === 1) throw refuse('attempting to demote the last manager of the swarm');
    if (change.role !== undefined) this.#world.roleChanges.push(`${node.hostname} ${change.role}`);
    swarm.nodes.set(id, { ...node, ...change });
    await Promise.resolve();
  }

  async removeNode(id: string): Promise<void> {
    const swarm = this.#manages();
    if (swarm.members.has(id)) throw refuse(`node ${id} is a cluster manager and is a member of the raft cluster.`);
    swarm.nodes.delete(id);
    await Promise.resolve();
  }

  /** The node as a swarm's list shows it. */
  seen(): EngineNode | undefined {
    return this.swarm === null || this.dockerId === null ? undefined : this.#list(this.swarm).find((node) => node.id === this.dockerId);
  }

  #list(swarm: Swarm): EngineNode[] {
    const leader = [...swarm.members].find((id) => this.#world.up(id, swarm));
    return [...swarm.nodes.values()].map((node) => ({
      ...node, state: node.hostname === '' ? 'unknown' : this.#world.up(node.id, swarm) ? 'ready' : 'down',
      reachability: !swarm.members.has(node.id) ? null : node.id === leader ? 'leader' : this.#world.up(node.id, swarm) ? 'reachable' : 'unreachable',
    }));
  }

  #enter(swarm: Swarm, role: EngineNode['role'], availability: EngineNode['availability']): void {
    this.dockerId = this.#world.nextId('d');
    if (role === 'manager') swarm.members.add(this.dockerId);
    swarm.nodes.set(this.dockerId, { id: this.dockerId, hostname: this.name, address: this.name, role, availability, state: 'ready', labels: {}, reachability: null, version: '20.10' });
  }

  #reachable(swarm: Swarm, without?: string): number {
    return [...swarm.members].filter((id) => id !== without && this.#world.up(id, swarm)).length;
  }

  #hasQuorum(): boolean {
    return this.swarm !== null && this.dockerId !== null && this.swarm.members.has(this.dockerId) && this.#reachable(this.swarm) >= Math.floor(this.swarm.members.size / 2) + 1;
  }

  #manages(): Swarm {
    this.#mustRun();
    if (this.swarm === null || this.dockerId === null || !this.swarm.members.has(this.dockerId)) throw refuse('This node is not a swarm manager.');
    if (!this.#hasQuorum()) throw refuse('The swarm does not have a leader.');
    return this.swarm;
  }

  #mustRun(): void {
    if (!this.running) throw new BeltError('no_engine', 'Docker Engine is not there');
    if (this.locked) throw refuse('Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.');
  }
}
