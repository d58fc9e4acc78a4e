/** An agent in the manager's role: its Raft member, the cluster plane, the workers' sessions, and what the leader drives. */
import { createHash, randomBytes } from 'node:crypto';

import { BeltError, asBeltError, isBeltError } from '../errors.ts';
import type { CallerIdentity } from './api/authorize.ts';
import { CertificateCalls } from './api/certificate-calls.ts';
import { ClusterCalls, type Write } from './api/cluster-calls.ts';
import type { CallName, CheckedParams } from './api/calls.ts';
import { Enrolment } from './api/enrolment.ts';
import { PendingCertificates } from './api/pending.ts';
import { answerForwarded, route, type Local, type RouteOptions } from './api/route.ts';
import type { CallContext } from './api/server.ts';
import type { LastKnown, Membership, RaftView, TrustedRoots } from './api/shapes.ts';
import { commonMembership, managerAddresses, nodeRows, type Sight } from './api/view.ts';
import type { EngineAttachment } from './engine/attachment.ts';
import { EngineDesk } from './engine/desk.ts';
import type { Engine } from './engine/engine.ts';
import type { RunningGroup } from './group-port.ts';
import type { Identity } from './identity/identity.ts';
import { pause, within, type Clock, type Log } from './ports.ts';
import { Reconciler } from './reconcile.ts';
import { digestOf, type CommonMembership } from './session/digest.ts';
import type { Peers } from './session/peers.ts';
import { Sessions } from './session/sessions.ts';
import type { NodeRecord } from './store/records.ts';
import type { Sealer } from './store/sealer.ts';

export interface ManagerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: Identity;
  readonly peers: Peers;
  readonly group: RunningGroup;
  readonly sealer: Sealer;
  readonly lifetimeMs: () => number;
  readonly engine: Engine;
  /** This machine's own engine as others see it. */
  readonly attachment: Pick<EngineAttachment, 'advertise' | 'saveSwarm' | 'sealed'>;
}

/** Milliseconds that changes are gathered. */
const LOOK_MS = 10;
/** Milliseconds between tries to write down certificates that were signed without a quorum. */
const RECORD_MS = 1000;

interface Common {
  readonly key: string;
  readonly membership: CommonMembership;
  readonly digest: string;
}

export class Manager {
  readonly group: RunningGroup;
  readonly enrolment: Enrolment;
  readonly #options: ManagerOptions;
  readonly #sessions: Sessions;
  readonly #calls: ClusterCalls;
  readonly #certificates: CertificateCalls;
  readonly #reconciler: Reconciler;
  readonly #engineReconciler: Reconciler;
  readonly #desk: EngineDesk;
  readonly #pending: PendingCertificates;
  readonly #stop = new AbortController();
  readonly #recording: Promise<void>;
  #leading = false;
  #lookDue = false;
  #common: Common | null = null;
  /** Wall time of the last contact with a leader. */
  #asOf: number | null = null;

  constructor(options: ManagerOptions) {
    const { clock, group, identity, sealer, lifetimeMs, log, engine, attachment } = options;
    this.#options = options;
    this.group = group;
    const membershipOf = (id: string): Membership | null => this.membershipOf(id);
    this.#sessions = new Sessions({ clock, membershipOf, tellingOf: (id) => this.#tellingOf(id) });
    this.#pending = new PendingCertificates(identity.files.paths.pending);
    this.enrolment = new Enrolment({ clock, group, sealer, membershipOf, lifetimeMs, pending: this.#pending, statusOf: (id) => this.#sight().alive(id) });
    const wake = (): void => [this.#reconciler, this.#engineReconciler].forEach((one) => one.wake());
    this.#desk = new EngineDesk({
      group, engine, clock, log, advertise: attachment.advertise, sealer: () => sealer, ready: (id) => this.#follows(id).reachable, sealed: () => attachment.sealed(), saveSwarm: () => attachment.saveSwarm(),
    });
    this.#calls = new ClusterCalls({
      group, sight: () => this.#sight(), wake, outOfRaft: (id, deadline) => this.#outOfRaft(id, deadline),
      stepDown: (id, deadline, force) => this.#desk.stepDown(id, { force, signal: within(Math.max(1, Math.floor(deadline - clock.monotonic())), this.#stop.signal) }),
      engines: () => ({ warnings: this.#desk.warnings(), rebuilding: this.#desk.rebuilding }),
    });
    this.#certificates = new CertificateCalls({ clock, group, sealer, enrolment: this.enrolment, wake, follows: (id) => this.#follows(id) });
    this.#reconciler = new Reconciler({ clock, group, log, steps: true, also: [() => this.#certificates.rotateFurther().then((moved) => (this.#sessions.changed(), moved))] });
    // Docker without a quorum thinks about a question for half a minute; managers that come back are taken in meanwhile.
    this.#engineReconciler = new Reconciler({ clock, group, log, steps: false, also: [(signal) => this.#desk.work(signal)] });
    this.#recording = this.#record();
    this.changed();
  }

  /** Raft's role, leader, membership or state have changed: looked at soon, once for many writes. */
  changed(): void {
    if (this.#lookDue || this.#stop.signal.aborted) return;
    this.#lookDue = true;
    this.#options.clock.after(LOOK_MS, () => {
      this.#lookDue = false;
      if (!this.#stop.signal.aborted) this.#look();
    });
  }

  #look(): void {
    const { clock, identity } = this.#options;
    const status = this.group.status();
    const leading = status.role === 'leader';
    if (leading && !this.#leading) this.#sessions.lead();
    if (!leading && this.#leading) this.#sessions.dismiss(managerAddresses(this.group.state, status).find(({ id }) => id === status.leader) ?? null);
    this.#leading = leading;
    if (status.leader !== null) this.#asOf = clock.now();
    const own = this.membershipOf(identity.certificate.name);
    if (own !== null && own.roots !== '') identity.learn(own);
    this.#sessions.changed();
    if (leading) for (const one of [this.#reconciler, this.#engineReconciler]) one.wake();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#reconciler.stop(), this.#engineReconciler.stop()]);
    await this.group.stop();
    this.#sessions.dismiss(null);
    await this.#recording;
  }

  /** Answers a call of the cluster plane, here or at the leader. */
  call(name: CallName, params: unknown, context: CallContext): Promise<unknown> {
    if (name === 'member.session') return Promise.resolve(this.#session(context));
    return route(this.#routing(), this.#local, name, params, context);
  }

  /** Answers what another manager passed on. */
  forwarded(name: CallName, params: unknown, { request, caller }: CheckedParams<'forward'>, context: CallContext): Promise<unknown> {
    return answerForwarded(this.#routing(), this.#local, name, params, { ...context, caller, request }, context.caller.name);
  }

  trustedRoots(): TrustedRoots {
    return this.#certificates.trustedRoots();
  }

  /** What the state says of a caller's role: a demoted manager's old certificate is worth a worker's. */
  effective(caller: CallerIdentity): CallerIdentity {
    const node = caller.role === 'manager' ? this.group.state.tables.nodes.get(caller.name) : undefined;
    return node?.role === 'worker' ? { ...caller, role: 'worker' } : caller;
  }

  membershipOf(id: string): Membership | null {
    const node = this.group.state.tables.nodes.get(id);
    if (node === undefined) return null;
    return { ...this.#commonNow().membership, role: node.role, generation: this.#generationFor(node) };
  }

  #tellingOf(id: string): string | null {
    const node = this.group.state.tables.nodes.get(id);
    return node === undefined ? null : `${this.#commonNow().digest}/${node.role}/${this.#generationFor(node)}`;
  }

  /** Made once for each change of the state or of Raft's membership, for it is asked for by every session. */
  #commonNow(): Common {
    const { group } = this;
    const raft = group.status();
    const key = `${group.state.index}/${raft.membership.members.map(({ id, address, voter }) => `${id}${address}${voter}`).join()}`;
    if (this.#common?.key === key) return this.#common;
    const membership = commonMembership(group.state, raft, group.epoch, this.#options.clock.now());
    this.#common = { key, membership, digest: createHash('sha256').update(digestOf(membership)).digest('base64') };
    return this.#common;
  }

  view(): RaftView {
    const { group } = this;
    const status = group.status();
    const self = status.membership.members.find(({ id }) => id === group.id);
    const { nodes } = group.state.tables;
    return {
      state: status.role === 'leader' ? 'leader' : status.role === 'failed' ? 'stopped' : self?.voter !== true ? 'learner' : status.role === 'follower' ? 'follower' : 'candidate',
      epoch: group.epoch, term: status.term, leader: status.leader, commitIndex: status.commit, appliedIndex: status.applied,
      lastIndex: status.lastIndex, lastTerm: status.lastTerm, snapshotIndex: status.snapshotIndex, ...group.disk(),
      members: status.membership.members.map(({ id, address, voter }) => ({ id, address, voter, name: nodes.get(id)?.name ?? id, datacenter: nodes.get(id)?.datacenter ?? '' })),
    };
  }

  lastKnown(): LastKnown {
    const { clock } = this.#options;
    return {
      asOf: this.#asOf === null ? null : new Date(this.#asOf).toISOString(), nodes: nodeRows(this.#sight()),
      managers: managerAddresses(this.group.state, this.group.status()), revoked: this.group.state.revokedSerials(clock.now()),
    };
  }

  /** Managers follow a rotation at once; workers when the leader says so, a few at a time. */
  #generationFor({ id, role }: NodeRecord): number {
    const generation = this.group.state.tables.authority?.generation ?? 1;
    return role === 'manager' || this.group.status().role !== 'leader' ? generation : this.#certificates.generationFor(id);
  }

  /** Workers confirm by their sessions, managers by what is in their log. */
  #follows(id: string): { reachable: boolean; version: number } {
    const { raft, self, alive } = this.#sight();
    if (id === self) return { reachable: true, version: raft.applied };
    const peer = raft.peers.find((known) => known.id === id);
    if (peer !== undefined) return { reachable: (peer.lastContactMs ?? Infinity) < 3000, version: peer.match };
    return { reachable: alive(id) === 'ready', version: this.#sessions.versionOf(id) };
  }

  get sessionCount(): number {
    return this.#sessions.count;
  }

  #routing(): RouteOptions {
    const { clock, peers } = this.#options;
    return { clock, peers, group: this.group, signal: this.#stop.signal };
  }

  #sight(): Sight {
    const { group } = this;
    const now = this.#options.clock.monotonic();
    const raft = group.status();
    return {
      self: group.id, state: group.state, raft, epoch: group.epoch, disk: group.disk(),
      alive: (id) => (raft.role === 'leader' ? this.#sessions.liveness.status(id, now) : 'unknown'),
    };
  }

  /** Only the leader keeps sessions: elsewhere the worker is told where that is. */
  #session(context: CallContext): { leader: ReturnType<typeof managerAddresses>[number] | null } {
    const status = this.group.status();
    const leader = managerAddresses(this.group.state, status).find(({ id }) => id === status.leader) ?? null;
    if (status.role !== 'leader') {
      if (leader === null) throw new BeltError('no_quorum', 'the managers have no leader now', { retryable: true });
      return { leader };
    }
    const node = this.group.state.tables.nodes.get(context.caller.name);
    if (node === undefined) throw new BeltError('certificate', `node ${context.caller.name} is not of this cluster any more`, { next: 'belt swarm join' });
    this.#sessions.open(context);
    void this.enrolment.forgetManagerCertificates(node.id, randomBytes(16).toString('hex')).catch((error: unknown) => this.#options.log(`revoking old certificates of ${node.name}: ${asBeltError(error).message}`));
    return { leader };
  }

  readonly #local: Local = (name, params, context) => {
    const write: Write = { request: context.request, first: context.first ?? undefined, deadline: context.deadline, actor: `${context.caller.role} ${context.caller.name}` };
    const p = params as never;
    switch (name) {
      case 'cluster.nodes': return this.#calls.nodes();
      case 'cluster.status': return this.#calls.status();
      case 'cluster.journal': return this.#calls.journal(p);
      case 'nodes.label': return this.#calls.label(p, write);
      case 'nodes.availability': return this.#calls.availability(p, write);
      case 'nodes.promote': return this.#calls.promote(p, write);
      case 'nodes.demote': return this.#calls.demote(p, write);
      case 'nodes.remove': return this.#calls.remove(p, write);
      case 'token.show': return this.#certificates.showToken(p);
      case 'token.rotate': return this.#certificates.rotateToken(p, write);
      case 'certs.list': return this.#certificates.list();
      case 'certs.record': return this.#certificates.record(p, write);
      case 'certs.revoke': return this.#certificates.revoke(p, write);
      case 'ca.rotate': return this.#certificates.rotate(p, write);
      case 'ca.status': return this.#certificates.rotation();
      case 'join': return this.enrolment.join(p, write);
      case 'member.enter': return this.enrolment.enter((params as CheckedParams<'member.enter'>).address, context.caller);
      case 'member.issued': return this.enrolment.issued((params as CheckedParams<'member.issued'>).certificate, write);
      case 'engine.report': return this.#desk.report(context.caller.name, p).finally(() => this.#engineReconciler.wake());
      default: return Promise.reject(new BeltError('bad_request', `${name} is no call for the leader`));
    }
  };

  async #outOfRaft(id: string, deadline: number): Promise<void> {
    const { clock } = this.#options;
    while (this.group.status().membership.members.some((member) => member.id === id)) {
      if (clock.monotonic() > deadline || this.#stop.signal.aborted) throw new BeltError('timeout', 'the managers have not agreed on the removal yet', { next: 'repeat the command' });
      this.#reconciler.wake();
      await pause(clock, 50, this.#stop.signal);
    }
  }

  /** Writes down, one after another, what this manager has signed. */
  async #record(): Promise<void> {
    const { clock, identity, log } = this.#options;
    const caller: CallerIdentity = { role: 'manager', name: identity.certificate.name };
    const stream = { send: () => false, onNote: () => undefined, onClose: () => undefined, end: () => undefined };
    while (!this.#stop.signal.aborted) {
      const pem = this.#pending.first;
      if (pem === undefined) await pause(clock, RECORD_MS, this.#stop.signal);
      else {
        try {
          await this.call('member.issued', { certificate: pem }, { caller, request: null, first: null, deadline: clock.monotonic() + 10_000, stream });
          this.#pending.remove(pem);
        } catch (error) {
          if (!isBeltError(error) || !error.retryable) {
            log(`a certificate could not be recorded: ${asBeltError(error).message}`);
            this.#pending.remove(pem);
          }
          await pause(clock, RECORD_MS, this.#stop.signal);
        }
      }
    }
  }
}
