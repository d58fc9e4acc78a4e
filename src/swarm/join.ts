/** Machines become nodes, many at once: what lacks an agent gets one first, then one call on one connection per machine. */
import type { Bootstrapped } from '../bootstrap/bootstrap-machine.ts';
import { addressOf } from '../bootstrap/wanted.ts';
import { BeltError, isBeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { runAll } from '../provision/run-all.ts';
import { bootstrapAll, unbootstrapped, type Hands, type Report } from './operations.ts';
import { type Place, trialOf, tryFromJoiner, tryFromManagers } from './preflight.ts';

export type NodeRole = 'manager' | 'worker';

export interface Joined {
  readonly role: NodeRole;
  /** It was a node already. */
  readonly already: boolean;
  /** Docker's own words for it. */
  readonly says: string;
  /** Members it cannot reach, which it may need later. */
  readonly warnings: readonly string[];
}

export interface JoinRequest {
  readonly machines: readonly Machine[];
  readonly role: NodeRole;
  /** `host:port` of the managers to join by, the nearest first. */
  readonly managers: readonly string[];
  readonly token: string;
  /** Called as each machine ends. */
  readonly onOutcome?: ((outcome: Outcome<Joined>) => void) | undefined;
}

/** How long a node may take to be in, ms: a manager waits until those before it have caught up, and Docker takes its joins one at a time. */
const JOIN_MS = { worker: 60_000, manager: 60_000 } as const;

/** Joins each machine; outcomes in the machines' order. Safe to repeat: what is a node already is left alone. */
export async function joinMachines(hands: Hands, request: JoinRequest, report: Report): Promise<Outcome<Joined>[]> {
  const { machines } = request;
  const failed = new Map<string, Outcome<Bootstrapped> & { ok: false }>();
  const missing = unbootstrapped(hands, machines);
  if (missing.length > 0) {
    report({ done: 0, failed: 0, total: missing.length, note: 'bootstrap' });
    for (const outcome of await bootstrapAll(hands, missing, {}, report)) if (!outcome.ok) failed.set(outcome.name, outcome);
  }
  const listed = new Map((await hands.swarm.cluster('cluster.nodes', {})).nodes.map(({ name, id }) => [name, id]));
  const check = await preflight(hands, machines.filter(({ name }) => !failed.has(name)), report);
  report({ done: 0, failed: 0, total: machines.length, note: 'join' });
  return runAll(machines, async (machine) => {
    const refusal = failed.get(machine.name);
    if (refusal !== undefined) throw refusal.error;
    return joinOne(hands, machine, { ...request, listed: listed.get(machine.name) ?? null }, check, report);
  }, {
    limit: hands.limit, signal: hands.signal, nameOf: ({ name }) => name,
    onDone: (outcome, done, failures) => {
      report({ done, failed: failures });
      request.onOutcome?.(outcome);
    },
  });
}

/** Whether a machine reaches whom it needs; the members it misses but can join without. Rejects with `failed`, which sends nobody to bootstrap it again. */
type Check = (machine: Machine) => Promise<string[]>;

/** Managers try the joiners now, each joiner the managers when its turn comes. Only engines need it: agents have their own port, and dial one way. */
async function preflight(hands: Hands, machines: readonly Machine[], report: Report): Promise<Check> {
  const { swarm, signal, limit, engineOf } = hands;
  const joiners = machines.flatMap((machine): Place[] => {
    const host = engineOf(machine).kind === 'docker' ? addressOf(machine) : null;
    return host === null ? [] : [{ name: machine.name, host }];
  });
  if (joiners.length === 0) return () => Promise.resolve([]);
  report({ done: 0, failed: 0, total: machines.length, note: 'preflight' });
  const { voters, reachable } = await swarm.survey();
  const managers = voters.filter(({ name }) => reachable.includes(name)).map(({ name, address }) => ({ name, host: address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '') }));
  const found = await tryFromManagers(swarm, managers, joiners, limit, signal);
  const checked = new Set(joiners.map(({ name }) => name));
  const members = [...managers, ...joiners];
  return async ({ name }) => {
    if (!checked.has(name)) return [];
    const { blocking, warnings } = await tryFromJoiner(swarm, name, trialOf(name, managers, members, Math.random));
    const all = [...blocking, ...(found.get(name) ?? [])];
    if (all.length > 0) throw new BeltError('failed', all.join('; '), { machine: name, next: 'open 2377/tcp, 7946/tcp+udp and 4789/udp between members, then the same command again' });
    return warnings;
  };
}

/** With the id under which the cluster lists the machine. */
interface Asked extends JoinRequest {
  readonly listed: string | null;
}

/** One machine's join. An agent that is gone (a machine made anew under its old name) is put there again, once. */
async function joinOne(hands: Hands, machine: Machine, request: Asked, check: Check, report: Report): Promise<Joined> {
  try {
    return await ask(hands, machine, request, check);
  } catch (error) {
    if (!isBeltError(error, 'unreachable') && !isBeltError(error, 'certificate')) throw error;
    const [outcome] = await bootstrapAll(hands, [machine], {}, ({ note }) => (note === undefined ? undefined : report({ note })));
    if (outcome?.ok === false) throw outcome.error;
    // Nothing was missing on the machine, so what failed is the way to the agent.
    if (outcome?.value.planned.length === 0) throw error;
    return ask(hands, machine, request, check);
  }
}

async function ask({ swarm }: Hands, machine: Machine, { managers, token, role, listed }: Asked, check: Check): Promise<Joined> {
  const warnings = await check(machine);
  const joined = await swarm.node(machine.name, 'node.join', { managers: [...managers], token, listed }, { timeoutMs: JOIN_MS[role] });
  if (joined.already && joined.role !== role) {
    throw new BeltError('refused', `${machine.name} is in the swarm as a ${joined.role}`, { machine: machine.name, next: `belt swarm ${role === 'manager' ? 'promote' : 'demote'} ${machine.name}` });
  }
  const says = joined.already ? `This node is part of the swarm already, as a ${joined.role}.` : `This node joined a swarm as a ${joined.role}.`;
  return { role: joined.role, already: joined.already, says, warnings };
}
