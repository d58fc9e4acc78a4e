/** A cluster's agents as the operator reaches them: one client, the managers in force, and the two planes as two kinds of call. */
import { randomBytes, type X509Certificate } from 'node:crypto';

import { AGENT_PORT, addressOf } from '../bootstrap/wanted.ts';
import { factsOf } from '../certs/identity.ts';
import { BeltError, isBeltError, type ErrorCode } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { runAll } from '../provision/run-all.ts';
import type { CallParams, CallResult } from '../swarm-agent/api/calls.ts';
import { createAgentClient, type AgentCallOptions, type AgentClient, type AgentEndpoint, type ClusterCall, type NodeCall, type OperatorCredentials } from './agent-client.ts';
import type { AgentBook, KnownManager } from './agent-book.ts';
import { hasQuorum, judgeSurvey, quorumError, type Answer, type Survey } from './survey.ts';

export interface SwarmOptions {
  readonly credentials: OperatorCredentials;
  readonly book: AgentBook;
  /** The machines of the cluster by name, as the inventory has them. */
  readonly machines: ReadonlyMap<string, Machine>;
  /** Asked first where no manager is known. */
  readonly active: string | null;
  /** Machines that belt has been on: asked after it where the book of agents is lost. */
  readonly met: readonly string[];
  readonly signal: AbortSignal;
  /** Told of managers that are passed over for their certificates. */
  readonly warn: (message: string) => void;
}

/** Milliseconds. A manager that does not shake hands in `dial` counts as gone; one that is slow in answering gets `health`. */
const PACE = { dial: 1500, health: 1000, cluster: 15_000 } as const;
/** Failures that say that a repeat was not carried out. */
const UNDONE: ReadonlySet<ErrorCode> = new Set(['no_quorum', 'unreachable', 'timeout']);
/** Machines asked who manages the cluster, where nobody is known, and how many at once. */
const SEARCH = { machines: 200, atOnce: 20 } as const;

export class Swarm {
  readonly #options: SwarmOptions;
  readonly #client: AgentClient;
  #survey: Promise<Survey> | null = null;
  #census: Promise<Survey> | null = null;
  readonly #warned = new Set<string>();

  constructor(options: SwarmOptions) {
    this.#options = options;
    const identify = (certificate: X509Certificate) => factsOf(certificate);
    this.#client = createAgentClient(options.credentials, { connectTimeoutMs: PACE.dial, identify });
  }

  /** Of a machine that the inventory has. */
  readonly driverOf = (name: string): string | undefined => this.#options.machines.get(name)?.driver;

  get book(): AgentBook {
    return this.#options.book;
  }

  close(): void {
    this.#client.close();
  }

  /** Where a machine's agent is. Throws `unknown_machine`, `unreachable`. */
  endpoint(name: string): AgentEndpoint {
    const machine = this.#options.machines.get(name);
    const manager = this.book.managers.find((known) => known.name === name);
    if (machine === undefined && manager === undefined) throw new BeltError('unknown_machine', `there is no machine called ${name}`, { machine: name, next: 'belt ls' });
    const host = machine === undefined ? null : addressOf(machine);
    if (host === null && manager === undefined) throw new BeltError('unreachable', `${name} has no address yet`, { machine: name, next: 'belt ls' });
    const address = host === null ? (manager as KnownManager).address : `${host}:${AGENT_PORT}`;
    return { machine: name, address, pinnedKey: this.book.keyOf(name), nodeId: undefined };
  }

  /** Asks one machine's agent. */
  node<N extends NodeCall>(name: string, call: N, params: CallParams<N>, options: AgentCallOptions = {}): Promise<CallResult<N>> {
    return this.#client.call(this.endpoint(name), call, params, { signal: this.#options.signal, ...options });
  }

  /**
   * Asks the cluster: the leader first, then the other managers that answer. Rejects with `no_quorum` before anything is sent where too few managers
   * answer; a write whose answer was lost is repeated once under the same id before it is `outcome_unknown`.
   */
  async cluster<N extends ClusterCall>(call: N, params: CallParams<N>, options: AgentCallOptions = {}): Promise<CallResult<N>> {
    const survey = await this.survey();
    if (survey.voters.length === 0) throw noSwarm();
    if (!hasQuorum(survey)) throw quorumError(survey, this.driverOf);
    const managers = [...survey.reachable].sort((a, b) => Number(b === survey.leader) - Number(a === survey.leader)).map((name) => this.endpoint(name));
    const request = options.request ?? randomBytes(16).toString('hex');
    const began = performance.now();
    const attempt = (ageMs?: number): Promise<CallResult<N>> => this.#client.cluster(managers, call, params, { timeoutMs: PACE.cluster, signal: this.#options.signal, ageMs, ...options, request });
    try {
      return await attempt();
    } catch (error) {
      this.forgetSurvey();
      if (!isBeltError(error, 'outcome_unknown') || !error.retryable || this.#options.signal.aborted) throw error;
      return await attempt(Math.ceil(performance.now() - began)).catch((again: unknown) => {
        // That nothing was done the second time says nothing of the first.
        throw isBeltError(again) && UNDONE.has(again.code) ? error : again;
      });
    }
  }

  /** How the managers are, as soon as that is enough to work with: some that answer late may be missing. Asked once and kept, as one command is one moment. */
  survey(): Promise<Survey> {
    this.#survey ??= this.#census ?? this.#ask('enough');
    return this.#survey;
  }

  /** How the managers are when each has answered or had its time: what may be taken away is judged by this. */
  census(): Promise<Survey> {
    this.#census ??= this.#ask('all');
    return this.#census;
  }

  /** After something that changes who manages or leads. */
  forgetSurvey(): void {
    this.#survey = null;
    this.#census = null;
  }

  /** Whether the machines have formed a swarm, as far as anybody answers or remembers. */
  async formed(): Promise<boolean> {
    return (await this.survey()).voters.length > 0;
  }

  /** Has the operator's own certificate written down in the cluster, so that another operator can revoke it by name. A repeat changes nothing. */
  async recordOwn(): Promise<void> {
    await this.cluster('certs.record', { certificate: this.#options.credentials.cert });
  }

  /** The health of machines, null for those that do not answer; many at once. */
  async healths(names: readonly string[], timeoutMs: number = PACE.health): Promise<Answer[]> {
    const { signal } = this.#options;
    const outcomes = await runAll(names, (name) => this.node(name, 'node.health', {}, { timeoutMs }), { limit: 50, signal, nameOf: (name) => name });
    return outcomes.map((outcome) => ({ machine: outcome.name, health: outcome.ok ? outcome.value : null }));
  }

  async #ask(until: 'enough' | 'all'): Promise<Survey> {
    const known = await this.#knownManagers();
    const first = judgeSurvey(await this.#askEach(known.map(({ name }) => name), until), known);
    // A manager may name others that this operator has not heard of.
    const others = first.voters.map(({ name }) => name).filter((name) => !known.some((manager) => manager.name === name));
    const survey = others.length === 0 ? first : judgeSurvey(await this.#askEach([...known.map(({ name }) => name), ...others], until), first.voters);
    // A certificate that is wrong is no manager that is down: it is heard of, and the others go on without it.
    if (survey.reachable.length === 0 && survey.wrong[0] !== undefined) throw survey.wrong[0];
    for (const error of survey.wrong) this.#warnOnce(error.message);
    if (survey.reachable.length > 0) this.book.learnManagers(survey.voters, survey.leader ?? this.book.leader);
    return survey;
  }

  #warnOnce(message: string): void {
    if (!this.#warned.has(message)) this.#options.warn(message);
    this.#warned.add(message);
  }

  /** `enough`: ends when the leader has answered and a quorum with it, for a manager that is switched off must not cost a second each time. */
  async #askEach(names: readonly string[], until: 'enough' | 'all'): Promise<Answer[]> {
    const answers: Answer[] = [];
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const survey = judgeSurvey(answers, []);
        if (answers.length === names.length || (until === 'enough' && survey.leader !== null && hasQuorum(survey))) resolve(answers);
      };
      if (names.length === 0) return resolve(answers);
      for (const machine of names) {
        void this.#healthOf(machine).then((answer) => {
          answers.push(answer);
          look();
        }, reject);
      }
    });
  }

  async #healthOf(machine: string): Promise<Answer> {
    try {
      return { machine, health: await this.node(machine, 'node.health', {}, { timeoutMs: PACE.health }) };
    } catch (error) {
      if (isBeltError(error, 'interrupted')) throw error;
      return isBeltError(error, 'certificate') ? { machine, health: null, wrong: error } : { machine, health: null };
    }
  }

  /** The remembered managers, else those that the active machine or any other names. */
  async #knownManagers(): Promise<readonly KnownManager[]> {
    const { machines, active, met } = this.#options;
    const { managers, bootstrapped } = this.book;
    if (managers.length > 0) return managers;
    const names = [...new Set([...(active === null ? [] : [active]), ...(bootstrapped.length > 0 ? bootstrapped : met)])].filter((name) => machines.has(name)).slice(0, SEARCH.machines);
    for (let at = 0; at < names.length; at += SEARCH.atOnce) {
      const outcomes = await runAll(names.slice(at, at + SEARCH.atOnce), (name) => this.node(name, 'node.cluster', {}, { timeoutMs: PACE.health }), { limit: SEARCH.atOnce, signal: this.#options.signal, nameOf: (name) => name });
      const found = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value.managers] : [])).find((managers) => managers.length > 0);
      if (found !== undefined) return found;
    }
    return [];
  }
}

/** There is nobody to ask. */
export function noSwarm(): BeltError {
  return new BeltError('failed', 'the machines of this cluster form no swarm yet', { next: "belt swarm form 3/3 'mg[0:2]', or belt swarm init NAME" });
}
