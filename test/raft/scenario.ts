/**
 * Runs a scenario: lines that begin with `> ` are commands, lines that begin with `#` are for the reader, and what stands below a command is
 * what it printed. The commands are the keys of `COMMANDS`.
 */
import { checkConfig } from '../../src/swarm-agent/raft/config.ts';
import { encodeMembership } from '../../src/swarm-agent/raft/membership.ts';
import { foundingState } from '../../src/swarm-agent/raft/node.ts';
import { EMPTY_STATE } from '../../src/swarm-agent/raft/types.ts';
import type { Entry, Membership, MembershipChange, Message, PersistentState, Proposed, RaftConfig, Refused } from '../../src/swarm-agent/raft/types.ts';
import { ScenarioMember } from './scenario-member.ts';

type Command = (world: World, ...words: string[]) => void;

const SETTLE_MAX = 10_000;

class World {
  readonly members = new Map<string, ScenarioMember>();
  wire: Message[] = [];
  now = 1_000;
  config: RaftConfig = checkConfig();
  output: string[] = [];
  showMessages = false;
  founders: Membership = { members: [] };
  /** Members nothing reaches and that reach nobody. */
  readonly alone = new Set<string>();
  private reads = 0;

  say: (line: string) => void = (line) => void this.output.push(line);

  add(id: string, state: PersistentState): void {
    // Instead of chance: who comes later waits longer, so nobody collides.
    const patience = this.members.has(id) ? this.members.get(id)!.patience : this.members.size / 8;
    const member = new ScenarioMember(id, this.config, state, patience, (line) => this.say(line), (message) => this.wire.push(message));
    this.members.set(id, member);
    member.start(this.now);
  }

  at(id: string | undefined): ScenarioMember {
    const member = this.members.get(id ?? '');
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  /** An input to a member that is up. */
  input<T>(id: string | undefined, give: (node: NonNullable<ScenarioMember['node']>) => T): T {
    const member = this.at(id);
    if (member.node === null) throw new Error(`${id} is down`);
    const result = give(member.node);
    member.run(this.now);
    return result;
  }

  /** Takes the messages under way that fit `from->to` (`*` is anybody) and, where given, the type. */
  take(link = '*->*', type = '*'): Message[] {
    const [from, to] = link.split('->');
    const fits = (message: Message): boolean => (from === '*' || from === message.from) && (to === '*' || to === message.to) && (type === '*' || type === message.type);
    const taken = this.wire.filter(fits);
    this.wire = this.wire.filter((message) => !fits(message));
    return taken;
  }

  deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      if (this.alone.has(message.from) || this.alone.has(message.to)) continue;
      if (this.showMessages) this.say(describe(message));
      const member = this.members.get(message.to);
      if (member?.node === null || member === undefined) continue;
      member.node.receive(this.now, message);
      member.run(this.now);
    }
  }

  nextRead(): number { return ++this.reads; }
}

function describe(message: Message): string {
  const { type, from, to, term, ...rest } = message;
  const details = Object.entries(rest).filter(([key]) => !['sentAt', 'electionMs', 'meta', 'digest'].includes(key)).map(([key, value]) => {
    if (key === 'entries') return `entries [${(value as Entry[]).map((entry) => `${entry.index}@${entry.term}`).join(' ')}]`;
    return `${key} ${value instanceof Uint8Array ? `${value.length} bytes` : value}`;
  });
  return `${from} -> ${to} ${type}, term ${term}: ${details.join(', ')}`;
}

function outcome(world: World, id: string, result: Proposed | { ok: true } | Refused): void {
  if (!result.ok) world.say(`${id}: refused, ${result.why}${result.leader === null ? '' : `; the leader is ${result.leader}`}`);
  else if ('index' in result) world.say(`${id}: appended at ${result.index}@${result.term}`);
}

/** Time passes; every member whose timer is due ticks, the first due first, and messages stay under way. */
function pass(world: World, ms: number, only?: string): void {
  const until = world.now + ms;
  for (;;) {
    const due = [...world.members.values()].filter((member) => member.node !== null && (only === undefined || member.id === only) && member.node.wakeAt() <= until)
      .sort((a, b) => a.node!.wakeAt() - b.node!.wakeAt())[0];
    if (due === undefined) break;
    world.now = Math.max(world.now, due.node!.wakeAt());
    world.input(due.id, (node) => node.tick(world.now));
  }
  world.now = until;
}

/** Delivers until nothing is under way; with `among`, only between those, and the rest is lost. */
function settle(world: World, among: readonly string[] = []): void {
  for (let round = 0; world.wire.length > 0 && round < SETTLE_MAX; round += 1) {
    const all = world.take();
    world.deliver(among.length === 0 ? all : all.filter(({ from, to }) => among.includes(from) && among.includes(to)));
  }
}

const COMMANDS: Record<string, Command> = {
  /** `config key=value …`, before any member. */
  config: (world, ...pairs) => void (world.config = { ...world.config, ...Object.fromEntries(pairs.map((pair) => [pair.split('=')[0]!, Number(pair.split('=')[1])])) }),
  /** `members a b c`: the founders. */
  members: (world, ...ids) => {
    world.founders = { members: ids.map((id) => ({ id, voter: true, address: `${id}:1` })) };
    for (const id of ids) world.add(id, foundingState(world.founders));
  },
  /** `joiner d`: a member with an empty disk. */
  joiner: (world, id) => world.add(id!, EMPTY_STATE),
  /** `log-of a TERM: 1 1 4 …`: gives a founder this term and a log of these terms (the first entry is the membership). */
  'log-of': (world, id, term, ...terms) => {
    const entries = terms.map<Entry>((text, at) => ({
      index: at + 1, term: Number(text), kind: at === 0 ? 'membership' : 'command', data: at === 0 ? encodeMembership(world.founders) : Buffer.from(`c${at + 1}`),
    }));
    world.add(id!, { vote: { term: Number.parseInt(term!, 10), votedFor: null }, snapshot: null, entries, partial: null });
  },
  show: (world, what) => void (world.showMessages = what === 'messages'),
  /** The election timer of a member runs out. */
  timeout: (world, id) => pass(world, world.at(id).node!.wakeAt() - world.now, id),
  pass: (world, ms) => pass(world, Number(ms)),
  deliver: (world, link, type) => world.deliver(world.take(link, type)),
  drop: (world, link, type) => void world.take(link, type),
  /** `settle`, or `settle a b`: only among those, and the rest is lost. */
  settle: (world, ...among) => settle(world, among),
  /** Time passes and messages arrive at once. */
  run: (world, ms) => {
    for (const end = world.now + Number(ms); world.now < end; settle(world)) pass(world, Math.min(5, end - world.now));
  },
  cut: (world, ...ids) => ids.forEach((id) => world.alone.add(id)),
  heal: (world) => world.alone.clear(),
  /** The member's timer runs out and it is elected, without the story. */
  elect: (world, id) => {
    const { say } = world;
    world.say = () => {};
    pass(world, world.at(id).node!.wakeAt() - world.now, id);
    settle(world);
    world.say = say;
    const { role, term } = world.at(id).node!.status(world.now);
    world.say(`${id} is ${role} of term ${term}`);
  },
  disk: (world, id, how) => void (world.at(id).slowDisk = how === 'slow'),
  sync: (world, id) => world.at(id).sync(world.now),
  'disk-fails': (world, id) => world.input(id, (node) => node.persistFailed(world.now)),
  propose: (world, id, ...commands) => outcome(world, id!, world.input(id, (node) => node.propose(world.now, commands.map((text) => Buffer.from(text))))),
  read: (world, id) => outcome(world, id!, world.input(id, (node) => node.read(world.now, world.nextRead()))),
  change: (world, id, kind, member, address) => {
    const change = { kind, id: member, ...(kind === 'add' || kind === 'address' ? { address: address ?? `${member}:1` } : {}) } as MembershipChange;
    outcome(world, id!, world.input(id, (node) => node.changeMembership(world.now, change)));
  },
  transfer: (world, id, to) => outcome(world, id!, world.input(id, (node) => node.transferLeadership(world.now, to ?? null))),
  crash: (world, ...ids) => ids.forEach((id) => world.at(id).crash()),
  start: (world, ...ids) => ids.forEach((id) => world.at(id).start(world.now)),
  /** Who is what, and the logs. */
  logs: (world) => {
    for (const member of world.members.values()) {
      const status = member.node?.status(world.now);
      world.say(`${member.id} ${status === undefined ? 'down' : `${status.role} term ${status.term} commit ${status.commit}`}: ${member.log()}`);
    }
  },
  /** How a leader sees the others. */
  peers: (world, id) => {
    for (const peer of world.at(id).node!.status(world.now).peers) world.say(`${peer.id}: match ${peer.match}, lag ${peer.lag}, ${peer.state}${peer.voter ? '' : `, learner${peer.caughtUp ? ' that has caught up' : ''}`}`);
  },
};

/** The scenario with the output it really gives. */
export function runScenario(text: string): string {
  const world = new World();
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('#') || line === '') lines.push(line);
    if (!line.startsWith('> ')) continue;
    lines.push(line);
    const [name, ...words] = line.slice(2).trim().split(/\s+/);
    const command = COMMANDS[name!];
    if (command === undefined) throw new Error(`unknown command: ${line}`);
    world.output = [];
    command(world, ...words);
    lines.push(...world.output);
  }
  return `${lines.join('\n').replace(/\n+$/, '')}\n`;
}
