/**
 * The agent: one per machine, whatever its role. It owns the identity and the port, and moves between the roles: a machine knows only its operator, a
 * worker holds a session, a manager runs a Raft member. Everything from outside comes in as {@link AgentPorts}.
 */
import { BeltError, asBeltError, isBeltError } from '../errors.ts';
import { authorize } from './api/authorize.ts';
import { CALLS, type CallName } from './api/calls.ts';
import { splitAddress } from './api/client.ts';
import { Door } from './api/door.ts';
import { nodeHandlers } from './api/node-calls.ts';
import { refuse, type CallContext, type Handlers } from './api/server.ts';
import type { Facts, ManagerAddress, Membership } from './api/shapes.ts';
import { checked } from './api/wire.ts';
import type { Assignment, EngineReport } from './engine/assign.ts';
import { EngineAttachment } from './engine/attachment.ts';
import type { Engine } from './engine/engine.ts';
import { beginAnew, leftBehind } from './epoch.ts';
import type { ReformGroup, StartGroup } from './group-port.ts';
import type { AgentFiles } from './identity/files.ts';
import { fetchRoots } from './identity/endorsement.ts';
import { Identity } from './identity/identity.ts';
import { Renewer } from './identity/renewer.ts';
import { callBack, comeBack } from './left-behind.ts';
import { Manager } from './manager.ts';
import { pause, type Clock, type Log, type Random } from './ports.ts';
import { Peers } from './session/peers.ts';
import { WorkerSession } from './session/worker.ts';
import { createSealer } from './store/sealer.ts';
import { listen, type Listener } from './transport/listener.ts';

export interface AgentPorts {
  readonly files: AgentFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The last lines of the log. */
  readonly logTail: (lines: number) => string[];
  readonly engine: Engine;
  /** Where operators reach the engine: 2376 but in tests. */
  readonly enginePort?: number;
  readonly startGroup: StartGroup;
  readonly reformGroup: ReformGroup;
  readonly version: string;
  /** What the operating system says of the machine. */
  readonly machineFacts: () => Pick<Facts, 'hostname' | 'os' | 'kernel' | 'arch' | 'cpus' | 'memoryMb' | 'pid' | 'nodeVersion'>;
  /** How long certificates of nodes live, ms: 30 days but in tests. */
  readonly lifetimeMs: number;
}

/** Milliseconds. `enterMs`: between a new manager's requests to be taken in; `lostMs`: how long a manager is without a leader before it asks others whether it still is one; `comeBackMs`: between tries of one that was left behind; `callBackMs`: between calls to such. */
const PACE = { enterMs: 75, lostMs: 1500, drainMs: 5000, comeBackMs: 300, callBackMs: 2000 } as const;

/** The role being played. */
type Playing = { readonly role: 'machine' } | { readonly role: 'worker'; readonly session: WorkerSession } | { readonly role: 'manager'; readonly manager: Manager };

export class Agent {
  readonly ports: AgentPorts;
  readonly identity: Identity;
  readonly peers: Peers;
  readonly renewer: Renewer;
  readonly attachment: EngineAttachment;
  readonly startedAt: number;
  readonly #door: Door;
  readonly #stop = new AbortController();
  #listener: Listener | null = null;
  #playing: Playing = { role: 'machine' };
  /** What keeps a role from being played; shown by `node.health`. */
  #trouble: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** Managers the operator named, beside those the cluster names: after a rebuild elsewhere. */
  #hints: readonly string[] = [];
  #leaderSeen = 0;

  /** Reads the identity, opens the port and takes up the role. Throws `BeltError` where one of the first two fails; a role that cannot be played is a matter of health. */
  static async start(ports: AgentPorts): Promise<Agent> {
    const agent = new Agent(ports);
    await agent.#open();
    return agent;
  }

  private constructor(ports: AgentPorts) {
    this.ports = ports;
    const { clock, random, log } = ports;
    this.startedAt = clock.now();
    this.identity = new Identity(ports.files);
    this.peers = new Peers({ clock, credentials: () => this.identity.credentials(), identify: this.identity.identify, onUnknownRoot: async (manager) => this.identity.trust(await fetchRoots(manager, this.identity.roots)) });
    this.renewer = new Renewer({ clock, random, log, identity: this.identity, peers: this.peers, managers: () => this.managers(), sign: (csr) => this.#signOwn(csr), onRole: () => void this.takeRole() });
    this.attachment = new EngineAttachment({ engine: ports.engine, identity: this.identity, clock, log, report: (report) => this.#reportEngine(report), ...(ports.enginePort === undefined ? {} : { port: ports.enginePort }) });
    this.#door = new Door({ clock, log, identity: this.identity, handlers: this.#allHandlers(), effective: (caller) => this.manager?.effective(caller) ?? caller });
    this.identity.onChange((what) => (what === 'revoked' ? this.#revocationsChanged() : this.#trustChanged()));
  }

  get playing(): Playing {
    return this.#playing;
  }
  get manager(): Manager | null {
    return this.#playing.role === 'manager' ? this.#playing.manager : null;
  }
  get session(): WorkerSession | null {
    return this.#playing.role === 'worker' ? this.#playing.session : null;
  }
  get trouble(): string | null {
    return this.#trouble;
  }
  /** The port it listens on. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Managers to turn to, those the operator named last first, ourselves left out. */
  managers(): ManagerAddress[] {
    const known = this.identity.managers.filter(({ id }) => id !== this.identity.certificate.name);
    const named = this.#hints.filter((address) => address !== this.identity.config.address);
    return [...named.map((address) => known.find((one) => one.address === address) ?? { id: '', name: address, address }), ...known.filter(({ address }) => !named.includes(address))];
  }

  /** Addresses of managers the operator names: those to turn to first from now on. What they are as managers. */
  hint(addresses: readonly string[]): ManagerAddress[] {
    this.#hints = addresses;
    return this.managers().slice(0, addresses.length);
  }

  /** Ends the role, then the port. A leader hands over first. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.renewer.stop();
    await this.exclusively(() => this.#endRole());
    await this.attachment.close();
    this.peers.renew(0);
    await this.#listener?.close();
  }

  /** Runs what changes the role one after another. */
  exclusively<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Plays the role the certificate gives; a role already played goes on. */
  takeRole(): Promise<void> {
    return this.exclusively(() => this.playRole());
  }

  /** {@link takeRole} for those who hold the turn already. `again`: also when the role is the same. */
  async playRole(again = false): Promise<void> {
    if (this.#stop.signal.aborted || (this.#playing.role === this.identity.role && !again)) return;
    await this.#endRole();
    try {
      this.#trouble = null;
      if (this.identity.role === 'worker') this.#playWorker();
      if (this.identity.role === 'manager') await this.#playManager();
      if (this.identity.role !== 'machine') this.attachment.follow();
      this.ports.log(`role: ${this.#playing.role}`);
    } catch (error) {
      this.#trouble = asBeltError(error).message;
      this.ports.log(`role ${this.identity.role}: ${this.#trouble}`);
      if (isBeltError(error) && error.retryable) this.ports.clock.after(1000, () => void this.takeRole());
    }
  }

  /** Stops playing the current role, and plays none. */
  async endRole(): Promise<void> {
    await this.#endRole();
  }

  async #open(): Promise<void> {
    const [host, port] = splitAddress(this.identity.config.listen);
    const { identity } = this;
    this.#listener = await listen({
      host, port, credentials: identity.credentials(), identify: identity.identify,
      handlers: {
        raft: (socket, peer) => (this.manager === null ? void socket.destroy() : this.manager.group.accept(socket, peer)),
        call: (socket, peer) => this.#door.admit(socket, peer),
        join: (socket) => this.#door.admitJoiner(socket),
        refused: (address, error) => this.ports.log(`refused ${address}: ${error.message}`),
        explain: refuse,
        turnAway: (socket, { message }) => (this.manager === null ? void socket.destroy() : this.manager.group.turnAway(socket, message)),
      },
    });
    await this.attachment.open();
    this.renewer.start();
    await this.takeRole();
    void this.#watchRole();
    void this.#callOthersBack();
  }

  async #endRole(): Promise<void> {
    const playing = this.#playing;
    await this.attachment.unfollow();
    this.#playing = { role: 'machine' };
    if (playing.role === 'worker') await playing.session.stop();
    if (playing.role === 'manager') await playing.manager.stop();
  }

  #playWorker(): void {
    // Also after a crash between the two: a worker holds nothing of a manager's.
    this.ports.files.wipeManager();
    const { clock, random, log, engine, version } = this.ports;
    const { identity, peers } = this;
    const session = new WorkerSession({
      clock, random, peers, managers: () => this.managers(), nodes: () => identity.node?.membership.nodes ?? 1, epoch: () => identity.node?.membership.epoch ?? 0,
      self: () => ({ address: identity.config.address, agentVersion: version, engine: engine.kind, membershipVersion: identity.node?.membership.version ?? 0 }),
      onMembership: (membership) => this.learn(membership), onState: (line) => log(`session: ${line}`),
    });
    this.#playing = { role: 'worker', session };
  }

  async #playManager(): Promise<void> {
    const { clock, log, files, startGroup, lifetimeMs } = this.ports;
    const { identity, peers } = this;
    const founding = await this.#prepareManager();
    const group = await startGroup({
      cluster: identity.config.clusterId, id: identity.certificate.name, address: identity.config.address, folder: files.paths.raft, founding,
      managers: () => identity.managers, limits: identity.config.raft ?? {},
      credentials: () => identity.credentials(), identify: identity.identify, log,
      onChange: () => this.manager?.changed(),
      onFailure: (error) => {
        this.#trouble = asBeltError(error).message;
        log(`raft: ${this.#trouble}`);
        // Workers with a session here are sent to look for who leads now.
        this.manager?.changed();
      },
    });
    const sealer = createSealer(Buffer.from(files.sealKey()!, 'hex'));
    this.#leaderSeen = clock.monotonic();
    this.#playing = { role: 'manager', manager: new Manager({ clock, log, identity, peers, group, sealer, lifetimeMs: () => lifetimeMs, engine: this.ports.engine, attachment: this.attachment }) };
  }

  /** Fetches what a manager needs before its Raft member can start. True for the founder, which made its own. */
  async #prepareManager(): Promise<boolean> {
    const { files } = this.ports;
    if (files.sealKey() === null) files.saveSealKey((await this.peers.any(this.managers(), 'member.keys', {}, { timeoutMs: 5000 })).sealKey);
    return files.caKey() !== null;
  }

  /** Waits until this manager is a voter, asking to be taken in; until a worker has its session. Rejects with `timeout`. */
  async settled(deadline: number): Promise<void> {
    const { clock } = this.ports;
    while (clock.monotonic() < deadline && !this.#stop.signal.aborted) {
      if (this.session !== null && this.session.current() !== null) return;
      if (this.manager !== null && this.#isVoter(this.manager) && this.manager.group.status().leader !== null) return;
      await pause(clock, 25, this.#stop.signal);
    }
    const why = this.#trouble ?? this.session?.problem() ?? 'it is not there yet';
    throw new BeltError('timeout', `${this.identity.config.machine} has its ${this.identity.role} certificate, but ${why}`, { machine: this.identity.config.machine, next: 'belt swarm status; the agent goes on trying' });
  }

  /** {@link settled}, and the engine where it belongs too. */
  async settledWithEngine(deadline: number): Promise<void> {
    await this.settled(deadline);
    await this.attachment.settled(deadline, this.#stop.signal);
  }

  async #reportEngine(report: EngineReport): Promise<Assignment> {
    const { manager } = this;
    if (manager === null) return this.peers.any(this.managers(), 'engine.report', report, { timeoutMs: 5000 });
    const stream = { send: () => false, onNote: () => undefined, onClose: () => undefined, end: () => undefined };
    const context: CallContext = { caller: { role: 'manager', name: manager.group.id }, request: null, first: null, deadline: this.ports.clock.monotonic() + 5000, stream };
    return (await manager.call('engine.report', report, context)) as Assignment;
  }

  #isVoter(manager: Manager): boolean {
    return manager.group.status().membership.members.some(({ id, voter }) => id === manager.group.id && voter);
  }

  /** A manager asks to be taken into Raft until it votes; one that hears no leader for long asks whether it still is a manager. */
  async #watchRole(): Promise<void> {
    const { clock, log, random } = this.ports;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(clock, (this.manager?.group.newerEpoch == null ? PACE.enterMs : PACE.comeBackMs) * (0.75 + random() / 2), signal);
      const { manager } = this;
      if (manager === null || signal.aborted) continue;
      try {
        if (manager.group.newerEpoch !== null) await comeBack(this, manager);
        else if (!this.#isVoter(manager)) await this.#enter(manager);
        else await this.#stillManager(manager);
      } catch (error) {
        const failure = asBeltError(error);
        if (manager.group.newerEpoch !== null || (!failure.retryable && failure.code !== 'timeout')) {
          if (this.#trouble !== failure.message) log(`entering: ${failure.message}`);
          this.#trouble = failure.message;
        }
      }
    }
  }

  async #callOthersBack(): Promise<void> {
    const { clock } = this.ports;
    while (!this.#stop.signal.aborted) {
      await pause(clock, PACE.callBackMs, this.#stop.signal);
      if (this.manager !== null && !this.#stop.signal.aborted) await callBack(this.peers, this.manager);
    }
  }

  async #enter(manager: Manager, { again = false } = {}): Promise<void> {
    try {
      const { group } = manager;
      const { epoch } = await this.peers.any(this.managers(), 'member.enter', { address: this.identity.config.address, epoch: group.epoch }, { timeoutMs: 3000 });
      if (epoch > group.epoch && group.status().lastIndex === 0) await this.enterAnew(epoch);
      else group.outlived(epoch);
    } catch (error) {
      if (again || !isBeltError(error, 'forbidden')) throw error;
      await this.#checkWanted(manager);
    }
  }

  /** Sets all Raft state aside and starts as an empty member of that epoch, unless it is one already: such a member must not forget what it has promised. */
  async enterAnew(epoch: number): Promise<void> {
    await this.exclusively(async () => {
      const group = this.manager?.group;
      if (group !== undefined && group.epoch >= epoch) return;
      const { raft, raftAside } = this.ports.files.paths;
      const keep = group !== undefined && group.status().lastIndex > 0;
      await this.#endRole();
      try {
        beginAnew(raft, raftAside, { epoch, keep });
        if (keep) this.ports.log(`raft: the state of epoch ${group.epoch} is kept in ${raftAside}`);
      } finally {
        await this.playRole();
      }
    });
  }

  async #stillManager(manager: Manager): Promise<void> {
    const now = this.ports.clock.monotonic();
    if (manager.group.status().leader !== null) this.#leaderSeen = now;
    if (manager.membershipOf(manager.group.id)?.role !== 'worker' && now - this.#leaderSeen < PACE.lostMs) return;
    this.#leaderSeen = now;
    await this.#checkWanted(manager);
  }

  /**
   * Asks the other managers what this node shall be. It gives up the manager's role only when they count it no more: leaving earlier could cost
   * them the quorum they need to let it go. One that was made a manager again before it had noticed does not count either, and enters anew.
   */
  async #checkWanted(manager: Manager): Promise<void> {
    const wanted = await this.peers.any(this.managers(), 'member.membership', {}, { timeoutMs: 2000 });
    manager.group.outlived(wanted.epoch);
    if (manager.group.newerEpoch !== null) return;
    if (wanted.managers.some(({ id }) => id === manager.group.id)) return;
    if (wanted.role === 'worker') await this.renewer.renew({ byOthers: true });
    else await this.#enter(manager, { again: true });
  }

  /** News of the cluster. */
  learn(membership: Membership): void {
    this.manager?.group.outlived(membership.epoch);
    this.identity.learn(membership);
    this.renewer.look();
  }

  /** A manager that can sign needs nobody else. Not when it shall be one no more: then another signs, which has seen it leave. */
  #signOwn(csr: string): { certificate: string; membership: Membership } | null {
    const { manager } = this;
    if (manager === null || manager.group.newerEpoch !== null || manager.membershipOf(manager.group.id)?.role !== 'manager') return null;
    return manager.enrolment.renew(csr, { role: 'manager', name: manager.group.id });
  }

  /** Key, certificate or roots have changed: new connections use them, old ones are replaced. */
  #trustChanged(): void {
    this.#listener?.setCredentials(this.identity.credentials());
    this.attachment.trustChanged();
    this.peers.renew(PACE.drainMs);
    this.manager?.group.renewed();
    this.session?.reconnect();
    this.#door.review();
    this.renewer.look();
  }

  #revocationsChanged(): void {
    this.attachment.trustChanged();
    this.manager?.group.cut(this.identity.revoked);
    this.#door.review();
  }

  /** Node plane here, cluster plane by the manager, each under its name in the table. */
  #allHandlers(): Handlers {
    const own = nodeHandlers(this);
    const cluster = (name: CallName) => (params: unknown, context: CallContext): Promise<unknown> => this.#manages().call(name, params, context);
    const table: Record<string, unknown> = { ...own };
    for (const name of Object.keys(CALLS) as CallName[]) table[name] ??= cluster(name);
    table['forward'] = (params: Parameters<Handlers['forward']>[0], context: CallContext) => {
      const name = authorize(params.call, params.caller, CALLS[params.call as CallName]?.plane === 'join' ? 'join' : 'call');
      return this.#manages().forwarded(name, checked(CALLS[name].params, params.params, name), params, context);
    };
    return table as unknown as Handlers;
  }

  #manages(): Manager {
    if (this.manager === null) throw new BeltError('no_quorum', `${this.identity.config.machine} is no manager${this.#trouble === null ? '' : ` now: ${this.#trouble}`}`, { machine: this.identity.config.machine, retryable: this.identity.role === 'manager', next: 'ask a manager: belt swarm nodes' });
    const { epoch, newerEpoch } = this.manager.group;
    if (newerEpoch !== null) throw leftBehind(epoch, newerEpoch);
    return this.manager;
  }
}
