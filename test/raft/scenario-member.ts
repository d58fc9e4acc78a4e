/** One member of a scenario: the real core, a disk that syncs at once or on command, and a list of commands as its state machine. */
import { RaftNode } from '../../src/swarm-agent/raft/node.ts';
import type { Entry, Message, Persist, PersistentState, RaftConfig, Ready, SnapshotMeta, Vote } from '../../src/swarm-agent/raft/types.ts';

/** What a member has to tell the reader. */
export type Say = (line: string) => void;

export class ScenarioMember {
  readonly id: string;
  node: RaftNode | null = null;
  /** Whether writes wait for `sync`. */
  slowDisk = false;
  applied: string[] = [];
  /** Stands for chance: an election timeout is drawn at this share between the shortest and the longest. */
  readonly patience: number;
  private readonly config: RaftConfig;
  private readonly say: Say;
  private readonly send: (message: Message) => void;
  private vote: Vote;
  private entries: Entry[];
  private snapshot: { meta: SnapshotMeta; content: Buffer } | null = null;
  private partial = Buffer.alloc(0);
  private partialOf = '';
  private waiting: Persist[] = [];

  constructor(id: string, config: RaftConfig, state: PersistentState, patience: number, say: Say, send: (message: Message) => void) {
    this.id = id;
    this.config = config;
    this.patience = patience;
    this.say = say;
    this.send = send;
    this.vote = state.vote;
    this.entries = [...state.entries];
  }

  start(now: number): void {
    const partial = this.partial.length === 0 ? null : { digest: this.partialOf, bytes: this.partial.length };
    const state = { vote: this.vote, snapshot: this.snapshot?.meta ?? null, entries: this.entries, partial };
    this.applied = this.snapshot === null ? [] : JSON.parse(this.snapshot.content.toString());
    this.node = new RaftNode({ id: this.id, config: this.config, state, random: () => this.patience, now });
    this.run(now);
  }

  /** Power off: what was not synced is gone. */
  crash(): void {
    this.node = null;
    this.waiting = [];
  }

  /** Everything written becomes durable. */
  sync(now: number): void {
    const last = this.waiting.at(-1);
    for (const persist of this.waiting) this.write(persist);
    this.waiting = [];
    if (last === undefined || this.node === null) return;
    this.node.persisted(now, last.seq);
    this.run(now);
  }

  /** The log as it will be on disk, entry by entry: its term, its command, and a bar behind what is durable. */
  log(): string {
    const all = [...this.entries];
    for (const { entries } of this.waiting) if (entries.length > 0) all.splice(entries[0]!.index - (this.first()), Infinity, ...entries);
    const cells = all.map((entry) => `${entry.term}${entry.kind === 'command' ? `:${Buffer.from(entry.data).toString()}` : entry.kind === 'noop' ? ':-' : ':members'}`);
    if (this.waiting.length > 0) cells.splice(this.entries.length, 0, '|');
    return `${this.snapshot === null ? '' : `[snapshot ${this.snapshot.meta.index}@${this.snapshot.meta.term}] `}${cells.join(' ')}`.trim();
  }

  private first(): number { return this.entries[0]?.index ?? (this.snapshot?.meta.index ?? 0) + 1; }

  private write({ vote, reset, entries }: Persist): void {
    this.vote = vote ?? this.vote;
    if (reset !== null) this.entries = [];
    if (entries.length === 0) return;
    const keep = this.entries.findIndex((entry) => entry.index === entries[0]!.index);
    this.entries = [...(keep < 0 ? this.entries : this.entries.slice(0, keep)), ...entries];
  }

  /** Does what the core says until it has nothing more to say. */
  run(now: number): void {
    while (this.node?.hasReady()) this.handle(this.node, this.node.ready(now), now);
  }

  private handle(node: RaftNode, ready: Ready, now: number): void {
    for (const event of ready.events) this.tell(event);
    if (ready.persist !== null) this.waiting.push(ready.persist);
    for (const message of ready.messages) this.send(message);
    if (ready.snapshotWanted !== null) this.takeSnapshot(node, ready.snapshotWanted, now);
    if (ready.restore !== null) this.restore(node, ready.restore, now);
    if (ready.apply.length > 0) this.apply(node, ready.apply, now);
    for (const { id, ok } of ready.reads) this.say(`${this.id}: read ${id} ${ok ? `answers [${this.applied.join(' ')}]` : 'is refused: ask the new leader'}`);
    if (ready.lost !== null) this.say(`${this.id}: outcome unknown for what it proposed in term ${ready.lost.term} above ${ready.lost.after}`);
    for (const { to, from } of ready.logReads) node.logRead(now, to, from, this.readLog(from));
    for (const { to, meta, offset, bytesMax } of ready.snapshotReads) node.snapshotRead(now, to, meta, offset, this.snapshot!.content.subarray(offset, offset + bytesMax));
    for (const write of ready.snapshotWrites) this.receiveSnapshot(node, write, now);
    if (ready.compact !== null) this.entries = this.entries.filter((entry) => entry.index >= ready.compact!);
    if (!this.slowDisk) this.sync(now);
  }

  private tell(event: Ready['events'][number]): void {
    const { what, ...rest } = event;
    if ('membership' in rest) {
      const members = rest.membership.members.map((member) => (member.voter ? member.id : `(${member.id})`)).join(' ');
      return this.say(`${this.id}: membership of ${rest.index} ${rest.rolledBack ? 'is in force again' : 'in force'}: ${members}`);
    }
    if (what === 'vote' || what === 'pre-vote') {
      const { term, candidate, granted, why } = rest as { term: number; candidate: string; granted: boolean; why: string };
      return this.say(`${this.id}: ${what === 'vote' ? (granted ? 'votes' : `no vote (${why})`) : granted ? 'would vote' : `would not vote (${why})`} for ${candidate} in term ${term}`);
    }
    this.say(`${this.id}: ${what} ${Object.entries(rest).map(([key, value]) => `${key} ${value}`).join(', ')}`);
  }

  private apply(node: RaftNode, entries: readonly Entry[], now: number): void {
    for (const { kind, data } of entries) if (kind === 'command') this.applied.push(Buffer.from(data).toString());
    this.say(`${this.id}: applies ${entries.map(({ index, term }) => `${index}@${term}`).join(' ')}`);
    node.applied(now, entries.at(-1)!.index);
  }

  private readLog(from: number): Entry[] | null {
    const found = this.entries.filter((entry) => entry.index >= from);
    return found[0]?.index === from ? found : null;
  }

  private takeSnapshot(node: RaftNode, point: Pick<SnapshotMeta, 'index' | 'term' | 'membership'>, now: number): void {
    const content = Buffer.from(JSON.stringify(this.applied));
    const meta = { ...point, size: content.length, digest: `digest of ${content.toString()}` };
    this.snapshot = { meta, content };
    this.say(`${this.id}: takes a snapshot at ${meta.index}@${meta.term}, ${meta.size} bytes`);
    node.snapshotTaken(now, meta);
  }

  private receiveSnapshot(node: RaftNode, { meta, offset, data, last }: Ready['snapshotWrites'][number], now: number): void {
    this.partialOf = meta.digest;
    this.partial = Buffer.concat([this.partial.subarray(0, offset), data]);
    if (!last) return node.snapshotWritten(now, meta, this.partial.length);
    this.snapshot = { meta, content: this.partial };
    this.partial = Buffer.alloc(0);
    node.snapshotStored(now, meta, true);
  }

  private restore(node: RaftNode, meta: SnapshotMeta, now: number): void {
    this.applied = JSON.parse(this.snapshot!.content.toString());
    this.say(`${this.id}: state restored from the snapshot at ${meta.index}: [${this.applied.join(' ')}]`);
    node.applied(now, meta.index);
  }
}
