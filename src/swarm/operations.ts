/** What the operations on a swarm share: the machines they are about, their bootstrap where it is missing, and how they report. */
import type { Bootstrapped } from '../bootstrap/bootstrap-machine.ts';
import { bootstrapMachines, type BootstrapProgress } from '../bootstrap/bootstrap-machines.ts';
import { authoritySigner } from '../bootstrap/signer.ts';
import type { EngineWish } from '../bootstrap/wanted.ts';
import { exportKey, type Authority } from '../certs/authority.ts';
import { splitPem } from '../certs/identity.ts';
import { BeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { quoteWord } from '../ssh/quote.ts';
import type { MachineConnections } from './machine-connections.ts';
import type { Swarm } from './swarm.ts';

/** What is going on, for a progress line. */
export interface OperationEvent {
  readonly done?: number;
  readonly failed?: number;
  readonly total?: number;
  readonly note?: string;
}
export type Report = (event: OperationEvent) => void;

/** An operation's hands: agents over TLS, machines over SSH, the CA. */
export interface Hands {
  readonly swarm: Swarm;
  readonly connections: MachineConnections;
  readonly cluster: { readonly id: string; readonly name: string; readonly certificateLifetimeMs?: number | undefined; readonly raft?: Readonly<Record<string, number>> | undefined };
  readonly authority: Authority;
  /** The roots in force, PEM, the signing one first. */
  readonly roots: string;
  readonly engineOf: (machine: Machine) => EngineWish;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Machines worked on at once. */
  readonly limit: number;
}

export interface BootstrapChoice {
  readonly dryRun?: boolean;
  /** New certificates although the old ones hold. */
  readonly renew?: boolean;
  /** The ids of the only steps that may act. */
  readonly only?: readonly string[];
}

/** Puts agent and certificates on machines, and remembers whose keys they have. Outcomes in the machines' order. */
export async function bootstrapAll(hands: Hands, machines: readonly Machine[], choice: BootstrapChoice, report: Report): Promise<Outcome<Bootstrapped>[]> {
  const { swarm, connections, cluster, authority, roots, signal, now, limit, engineOf } = hands;
  const outcomes = await bootstrapMachines({
    machines, cluster: { ...cluster, roots: splitPem(roots) }, signer: authoritySigner(authority, now, cluster.certificateLifetimeMs), engineOf, signal, now, limit, ...choice,
    connect: (machine) => connections.connect(machine, signal),
    onProgress: (event) => report(toEvent(event)),
  });
  const met = outcomes.flatMap((outcome) => (outcome.ok && outcome.value.agentKey !== null ? [{ machine: outcome.name, key: outcome.value.agentKey, expires: outcome.value.certificateExpires }] : []));
  swarm.book.learnAgents(met);
  return outcomes;
}

function toEvent(event: BootstrapProgress): OperationEvent {
  return event.kind === 'step' ? { note: `${event.machine}: ${event.step}` } : { done: event.done, failed: event.failed };
}

/** The machines that no bootstrap of ours has finished with. */
export function unbootstrapped(hands: Hands, machines: readonly Machine[]): Machine[] {
  const there = new Set(hands.swarm.book.bootstrapped);
  return machines.filter(({ name }) => !there.has(name));
}

/** Bootstraps what lacks it; throws the first failure where one of these machines is needed. */
export async function needBootstrapped(hands: Hands, machines: readonly Machine[], report: Report): Promise<void> {
  const outcomes = await bootstrapAll(hands, machines, {}, report);
  const failed = outcomes.filter((outcome) => !outcome.ok);
  if (failed[0] !== undefined) {
    const names = failed.map(({ name, error }) => `  ${name}: ${error.message}`).join('\n');
    throw failed.length === 1 ? failed[0].error : new BeltError(failed[0].error.code, `${failed.length} machines could not be bootstrapped:\n${names}`, { next: 'the same command again goes on where it stopped' });
  }
}

/** Gives the CA's key to a first manager, inside the verified SSH conversation, on stdin. Rejects with `remote_command`. */
export async function handOverAuthority(hands: Hands, machine: Machine): Promise<void> {
  const { connections, authority, signal } = hands;
  const connection = await connections.connect(machine, signal);
  try {
    const become = machine.driver === 'local' || machine.sshUser === 'root' ? '' : 'sudo -n ';
    const script = 'r=${BELT_ROOT:-}; exec "$r/opt/belt/node" "$r/opt/belt/belt-agent.mjs" install-ca --root "${r:-/}"';
    const stdin = JSON.stringify({ certificate: authority.certificate, key: exportKey(authority) });
    const { code, stderr } = await connection.exec(`${become}sh -c ${quoteWord(script)}`, { stdin, signal, timeoutMs: 30_000 });
    if (code !== 0) throw new BeltError('remote_command', `${machine.name} did not take the CA: ${stderr.trim().split('\n').at(-1) ?? `exit ${code}`}`, { machine: machine.name, next: `belt bootstrap ${machine.name}` });
  } finally {
    await connection.close();
  }
}
