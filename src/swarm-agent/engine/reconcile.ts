/**
 * What to do next so that the agents' cluster and Docker's swarm agree. Pure: both views in, ordered actions out; nothing is done here.
 *
 * The two sides are told apart by what they last agreed on. Where belt's record differs from that, belt changed it and Docker follows; where
 * only Docker's differs, somebody used docker by hand: it is adopted, with a warning where it harms. Docker's spec is no proof that
 * a role changed (swarmkit puts a demotion off silently while it would cost the quorum), so a transition counts as running until the member
 * list shows it, and the next waits for it. A manager's agent is promoted before its engine and its engine demoted before its agent.
 */
import type { EngineNode } from './engine.ts';

export type Availability = EngineNode['availability'];
export type Role = EngineNode['role'];

/** A node as belt's cluster plane records it. */
export interface BeltNode {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly availability: Availability;
  readonly labels: Readonly<Record<string, string>>;
  readonly driver: string | null;
  readonly datacenter: string | null;
  readonly region: string | null;
  readonly size: string | null;
  readonly engine: 'docker' | 'none';
  readonly dockerId: string | null;
  /** Whether its agent answers. */
  readonly ready: boolean;
}

/** What both sides last agreed on about a node; kept in the cluster plane. */
export interface Agreed {
  readonly dockerId: string;
  readonly role: Role;
  readonly availability: Availability;
  /** Without belt's own labels of the place. */
  readonly labels: Readonly<Record<string, string>>;
}

export type Action =
  /** Change Docker's node. Labels are complete, belt's own among them. */
  | { readonly do: 'engine'; readonly node: string; readonly dockerId: string; readonly change: { readonly role?: Role; readonly availability?: Availability; readonly labels?: Readonly<Record<string, string>> } }
  /** Change belt's record to what somebody made of Docker's node. */
  | { readonly do: 'adopt'; readonly node: string; readonly role?: Role; readonly availability?: Availability; readonly labels?: Readonly<Record<string, string>> }
  /** Both sides agree on this now. */
  | { readonly do: 'agree'; readonly node: string; readonly agreed: Agreed }
  /** Docker's node is gone: the record of it goes too, and the node joins again by itself. */
  | { readonly do: 'forget'; readonly node: string; readonly dockerId: string }
  /** A node that joined anew, or died over its join, leaves a Docker node behind: that one goes. */
  | { readonly do: 'drop'; readonly dockerId: string }
  /** The belt node was removed: its Docker node goes, and then what was agreed. */
  | { readonly do: 'remove'; readonly node: string; readonly dockerId: string };

export interface Decision {
  readonly actions: readonly Action[];
  readonly warnings: readonly string[];
}

export interface View {
  readonly nodes: readonly BeltNode[];
  readonly docker: readonly EngineNode[];
  /** By belt node id, also of nodes that were removed since. */
  readonly agreed: ReadonlyMap<string, Agreed>;
  /** Docker's ids of nodes that have been {@link nameless} for so long that nobody comes for them any more. */
  readonly abandoned: ReadonlySet<string>;
  /** Belt nodes that are being demoted: Docker's side changes first, and until belt's record follows nothing is read into the difference. */
  readonly steppingDown: ReadonlySet<string>;
}

/**
 * A node whose engine got its certificate and never came with it: for a moment each that joins, for ever one that died before the certificate
 * was on its disk (it joins again as another node).
 */
export function nameless(node: EngineNode): boolean {
  return node.hostname === '' && node.state === 'unknown' && node.reachability === null;
}

const PLACE = { driver: 'belt.driver', datacenter: 'belt.datacenter', region: 'belt.region', size: 'belt.size' } as const;

/** The labels that say where a node stands, for `--constraint node.labels.belt.datacenter==…`. */
export function placeLabels(node: Pick<BeltNode, keyof typeof PLACE>): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [field, label] of Object.entries(PLACE) as [keyof typeof PLACE, string][]) {
    const value = node[field];
    if (value !== null) labels[label] = value;
  }
  return labels;
}

function withoutPlace(labels: Readonly<Record<string, string>>): Record<string, string> {
  const own = new Set<string>(Object.values(PLACE));
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !own.has(key)));
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** Docker's node carries out a role change that its spec already names. A promotion needs the node itself: one that is down is not waited for. */
function inTransition(node: EngineNode): boolean {
  return node.role === 'manager' ? node.reachability === null && node.state === 'ready' : node.reachability !== null;
}

/**
 * Whether swarmkit will let this manager go: afterwards a majority of those left must be reachable
 * (manager/state/raft/raft.go CanRemoveMember). It would refuse silently; belt does not ask.
 */
export function mayDemote(target: EngineNode, docker: readonly EngineNode[]): boolean {
  const others = docker.filter((node) => node.reachability !== null && node.id !== target.id);
  const reachable = others.filter((node) => node.reachability !== 'unreachable').length;
  return others.length > 0 && reachable >= Math.floor(others.length / 2) + 1;
}

interface Draft {
  readonly actions: Action[];
  /** At most one of these is carried out at a time: promotions first, the leader's demotion last. */
  readonly roles: { readonly order: number; readonly action: Action }[];
  readonly warnings: string[];
}

function decideRole(node: BeltNode, engine: EngineNode, before: Agreed | undefined, view: View, draft: Draft): Role | undefined {
  if (node.role === engine.role || view.steppingDown.has(node.id)) return undefined;
  // A worker of belt that is a manager in a swarm made by hand was made one on purpose; a manager of belt that just joined is not one yet.
  const users = before === undefined ? engine.role === 'manager' : before.role === node.role;
  if (users) {
    if (engine.role === 'worker') draft.warnings.push(`${node.name} was demoted with docker by hand; belt follows`);
    return engine.role;
  }
  const change = (order: number): void => { draft.roles.push({ order, action: { do: 'engine', node: node.id, dockerId: engine.id, change: { role: node.role } } }); };
  if (node.role === 'manager') {
    if (node.ready && engine.state === 'ready') change(0);
  } else if (mayDemote(engine, view.docker)) {
    change(engine.reachability === 'leader' ? 2 : 1);
  } else {
    draft.warnings.push(`${node.name} stays a manager in Docker for now: without it too few of the other managers are reachable`);
  }
  return undefined;
}

/** Which side's value holds, for what has no safety rule of its own. `undefined`: they agree. */
function whose<T>(belt: T, docker: T, before: T | undefined, same: (a: T, b: T) => boolean): 'belt' | 'docker' | undefined {
  if (same(belt, docker)) return undefined;
  return before !== undefined && same(before, belt) ? 'docker' : 'belt';
}

function decideNode(node: BeltNode, engine: EngineNode, view: View, draft: Draft): void {
  const before = view.agreed.get(node.id);
  const known = before?.dockerId === engine.id ? before : undefined;
  const place = placeLabels(node);
  const theirs = withoutPlace(engine.labels);
  // At first sight nobody's labels are older than the other's: both are kept, belt's value where both have one.
  const merged = known === undefined ? { ...theirs, ...node.labels } : theirs;
  const labels = known === undefined && !sameLabels(merged, node.labels) ? 'docker' : whose(node.labels, theirs, known?.labels, sameLabels);
  const availability = whose(node.availability, engine.availability, known?.availability, (a, b) => a === b);
  // Labels first, availability second: no task lands on a node before its labels say where it is.
  const wanted = labels === 'docker' ? merged : node.labels;
  if (!sameLabels(engine.labels, { ...wanted, ...place })) {
    draft.actions.push({ do: 'engine', node: node.id, dockerId: engine.id, change: { labels: { ...wanted, ...place } } });
  } else if (availability === 'belt') {
    draft.actions.push({ do: 'engine', node: node.id, dockerId: engine.id, change: { availability: node.availability } });
  }
  const role = decideRole(node, engine, known, view, draft);
  if (labels === 'docker' || availability === 'docker' || role !== undefined) {
    draft.actions.push({
      do: 'adopt', node: node.id, ...(role === undefined ? {} : { role }),
      ...(availability === 'docker' ? { availability: engine.availability } : {}), ...(labels === 'docker' ? { labels: merged } : {}),
    });
  }
  const now: Agreed = {
    dockerId: engine.id,
    role: node.role === engine.role && !inTransition(engine) ? node.role : (known?.role ?? engine.role),
    availability: availability === undefined ? node.availability : (known?.availability ?? engine.availability),
    labels: labels === undefined ? node.labels : (known?.labels ?? theirs),
  };
  if (known === undefined ? agreesAtAll(node, engine) : !sameAgreed(known, now)) draft.actions.push({ do: 'agree', node: node.id, agreed: now });
}

/** The first agreement is written when nothing is left to do: until then belt's record holds (a node joins drained, belt activates it). */
function agreesAtAll(node: BeltNode, engine: EngineNode): boolean {
  return node.role === engine.role && !inTransition(engine) && node.availability === engine.availability && sameLabels(engine.labels, { ...node.labels, ...placeLabels(node) });
}

function sameAgreed(a: Agreed, b: Agreed): boolean {
  return a.dockerId === b.dockerId && a.role === b.role && a.availability === b.availability && sameLabels(a.labels, b.labels);
}

/** Docker nodes of belt nodes that were removed: a manager is demoted first, and removed when the list shows it as a worker. */
function decideRemoved(nodeId: string, agreed: Agreed, view: View, draft: Draft): void {
  const engine = view.docker.find((candidate) => candidate.id === agreed.dockerId);
  if (engine === undefined || engine.reachability === null) {
    draft.actions.push({ do: 'remove', node: nodeId, dockerId: agreed.dockerId });
  } else if (engine.role === 'manager') {
    if (mayDemote(engine, view.docker)) draft.roles.push({ order: engine.reachability === 'leader' ? 2 : 1, action: { do: 'engine', node: nodeId, dockerId: engine.id, change: { role: 'worker' } } });
    else draft.warnings.push(`${engine.hostname} was removed and stays a manager in Docker for now: without it too few of the other managers are reachable`);
  }
}

function decideFormer(node: BeltNode, byId: ReadonlyMap<string, EngineNode>, claimed: Set<string>, view: View, draft: Draft): void {
  const former = byId.get(view.agreed.get(node.id)?.dockerId ?? '');
  if (former === undefined || former.id === node.dockerId) return;
  claimed.add(former.id);
  if (former.reachability === null && former.state !== 'ready') draft.actions.push({ do: 'drop', dockerId: former.id });
}

/** The next actions, in order, and what an operator should know. Asked again after they are done; empty: both sides agree. */
export function decide(view: View): Decision {
  const draft: Draft = { actions: [], roles: [], warnings: [] };
  const byId = new Map(view.docker.map((node) => [node.id, node]));
  const claimed = new Set<string>();
  for (const node of view.nodes) {
    if (node.dockerId === null) continue;
    claimed.add(node.dockerId);
    decideFormer(node, byId, claimed, view, draft);
    const engine = byId.get(node.dockerId);
    if (engine !== undefined) {
      decideNode(node, engine, view, draft);
    } else {
      draft.actions.push({ do: 'forget', node: node.id, dockerId: node.dockerId });
      if (view.agreed.has(node.id)) draft.warnings.push(`${node.name} was removed from the swarm with docker by hand; it joins again (belt swarm leave ${node.name} removes it)`);
    }
  }
  const present = new Set(view.nodes.map((node) => node.id));
  for (const [nodeId, agreed] of view.agreed) {
    if (present.has(nodeId) || claimed.has(agreed.dockerId)) continue;
    claimed.add(agreed.dockerId);
    decideRemoved(nodeId, agreed, view, draft);
  }
  for (const engine of view.docker) {
    if (claimed.has(engine.id)) continue;
    if (nameless(engine)) draft.actions.push(...(view.abandoned.has(engine.id) ? [{ do: 'drop', dockerId: engine.id } as const] : []));
    else draft.warnings.push(`${engine.hostname} (${engine.id}) is in the swarm but no node of belt${engine.state === 'ready' ? '' : `, and ${engine.state}`}`);
  }
  const moving = view.docker.find(inTransition);
  if (moving === undefined) {
    const [first] = draft.roles.sort((a, b) => a.order - b.order);
    if (first !== undefined) draft.actions.push(first.action);
  }
  return { actions: draft.actions, warnings: draft.warnings };
}
