/** The first managers: one makes the swarm, the others join it, placed by the datacenters their machines really stand in. */
import { AGENT_PORT, addressOf } from '../bootstrap/wanted.ts';
import { BeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { explainPlacement } from '../topology/explain.ts';
import { formatTopology, type Topology } from '../topology/parse.ts';
import { assignManagers } from '../topology/placement.ts';
import { joinMachines, type Joined } from './join.ts';
import { handOverAuthority, needBootstrapped, type Hands, type Report } from './operations.ts';
import type { Survey } from './survey.ts';

/** What `form` will do, decided before anything is touched. */
export interface FormPlan {
  /** The managers of the topology, in the order in which the machines were named. */
  readonly managers: readonly Machine[];
  /** The one that makes the swarm, or that leads or belongs to it already. */
  readonly first: Machine;
  /** The swarm is there: a run before this one, or `init`, has made it. */
  readonly begun: boolean;
  /** Machines of the range that no part of the topology takes. */
  readonly left: readonly Machine[];
  readonly warnings: readonly string[];
}

/**
 * Chooses the managers. What manages already is kept, so that a run that died half-way is gone on with. Throws `does_not_fit` with what is there and
 * needed, `refused` where the swarm has managers that this layout has no place for.
 */
export function planForm(topology: Topology, machines: readonly Machine[], survey: Survey): FormPlan {
  const voters = new Set(survey.voters.map(({ name }) => name));
  // Those that manage already come first in their datacenter, so that the layout takes them.
  const ordered = [...machines.filter(({ name }) => voters.has(name)), ...machines.filter(({ name }) => !voters.has(name))];
  const ranked = inOrderOfDatacenters(ordered, machines);
  const placed = assignManagers(topology, ranked);
  const names = new Set(placed.flatMap(({ machines: taken }) => taken.map(({ name }) => name)));
  const managers = machines.filter(({ name }) => names.has(name));
  const stray = [...voters].filter((name) => !names.has(name));
  if (stray.length > 0) {
    throw new BeltError('refused', `the swarm has managers already that are not among these: ${stray.join(', ')}`, {
      next: `belt swarm demote ${stray.join(' ')}, or name them too; belt swarm join --manager adds managers`,
    });
  }
  const first = managers.find(({ name }) => name === survey.leader) ?? managers.find(({ name }) => voters.has(name)) ?? managers[0];
  if (first === undefined) throw new BeltError('does_not_fit', `${formatTopology(topology)} needs machines, none were named`);
  const { warnings } = explainPlacement(placed.map(({ datacenter, machines: taken }) => ({ datacenter, managers: taken.length })));
  return { managers, first, begun: voters.size > 0, left: machines.filter(({ name }) => !names.has(name)), warnings };
}

/** Machines grouped so that datacenters keep the order in which the range names them. */
function inOrderOfDatacenters(machines: readonly Machine[], named: readonly Machine[]): Machine[] {
  const order = [...new Set(named.map(({ datacenter }) => datacenter))];
  return machines.toSorted((a, b) => order.indexOf(a.datacenter) - order.indexOf(b.datacenter));
}

/** Carries out the plan: bootstrap, the first manager, then the others. Outcomes in the order in which the machines were named. */
export async function formSwarm(hands: Hands, plan: FormPlan, report: Report): Promise<Outcome<Joined>[]> {
  const { swarm } = hands;
  const { managers, first } = plan;
  report({ done: 0, failed: 0, total: managers.length, note: 'bootstrap' });
  await needBootstrapped(hands, managers, report);
  const founded = plan.begun ? { already: true } : await initSwarm(hands, first, report);
  if (plan.begun) await swarm.recordOwn();
  const others = managers.filter((machine) => machine !== first);
  const token = others.length === 0 ? '' : (await swarm.cluster('token.show', { role: 'manager' })).token;
  const by = [first, ...others.filter(({ name }) => swarm.book.managers.some((manager) => manager.name === name))].map(agentAddress);
  const joined = others.length === 0 ? [] : await joinMachines({ ...hands, limit: others.length }, { machines: others, role: 'manager', managers: by, token }, report);
  swarm.forgetSurvey();
  await swarm.survey();
  const says = founded.already ? 'This node is part of the swarm already, as a manager.' : 'This node made the swarm and manages it.';
  const one: Outcome<Joined> = { name: first.name, ok: true, value: { role: 'manager', already: founded.already, says, warnings: [] } };
  return managers.map(({ name }) => (name === first.name ? one : (joined.find((outcome) => outcome.name === name) as Outcome<Joined>)));
}

/** Makes the machine, which has its agent, the first manager. A repeat finds it done. */
export async function initSwarm(hands: Hands, machine: Machine, report: Report): Promise<{ already: boolean }> {
  const { swarm } = hands;
  report({ note: `${machine.name} makes the swarm` });
  const { role } = await swarm.node(machine.name, 'node.health', {});
  if (role === 'worker') throw new BeltError('refused', `${machine.name} is a worker of the swarm`, { machine: machine.name, next: `belt swarm promote ${machine.name}` });
  await handOverAuthority(hands, machine);
  const founded = await swarm.node(machine.name, 'node.init', {}, { timeoutMs: 20_000 });
  swarm.book.learnManagers([{ name: machine.name, id: founded.id, address: agentAddress(machine) }], machine.name);
  swarm.forgetSurvey();
  await swarm.recordOwn();
  return { already: founded.already };
}

/** `host:port` of a machine's agent. */
export function agentAddress(machine: Machine): string {
  return `${addressOf(machine) ?? machine.name}:${AGENT_PORT}`;
}
