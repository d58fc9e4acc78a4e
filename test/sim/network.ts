/**
 * A network that loses, doubles, delays and reorders messages, and that can be cut in one direction only. Messages are values that nobody
 * changes, so they are handed over as they are.
 */
import type { MemberId, Message } from '../../src/swarm-agent/raft/types.ts';
import type { Events } from './events.ts';
import type { Random } from './random.ts';

export interface NetworkFaults {
  loss: number;
  doubling: number;
  /** Usual delay one way, ms: [shortest, longest). */
  delayMs: readonly [number, number];
  /** Now and then a message is delayed by up to `lateMs`, so that it comes long after its successors. */
  late: number;
  lateMs: number;
}

/** Elections are rare beside everything else, so their messages meet with more trouble. */
function weight({ type }: Message): number {
  return type === 'vote' || type === 'vote-reply' || type === 'timeout-now' ? 8 : 1;
}

export class Network {
  readonly faults: NetworkFaults;
  private readonly events: Events;
  private readonly random: Random;
  private readonly deliver: (message: Message) => void;
  /** `from>to` pairs that nothing passes. */
  private readonly cut = new Set<string>();
  private readonly alone = new Set<MemberId>();
  healthy = false;

  constructor(events: Events, random: Random, faults: NetworkFaults, deliver: (message: Message) => void) {
    this.events = events;
    this.random = random;
    this.faults = faults;
    this.deliver = deliver;
  }

  send(message: Message): void {
    const { random, faults } = this;
    if (!this.passes(message)) return;
    if (!this.healthy && random.chance(faults.loss)) return;
    this.travel(message);
    if (!this.healthy && random.chance(faults.doubling * weight(message))) this.travel(message);
  }

  private travel(message: Message): void {
    const { random, faults } = this;
    const late = !this.healthy && random.chance(faults.late * weight(message)) ? random.between(0, faults.lateMs) : 0;
    this.events.after(random.between(...faults.delayMs) + late, () => {
      // What is under way when the link is cut is lost with it.
      if (this.passes(message)) this.deliver(message);
    });
  }

  /** Cuts the members into two sides; `oneWay` cuts only what the first side sends. */
  partition(side: readonly MemberId[], others: readonly MemberId[], oneWay: boolean): void {
    for (const a of side) {
      for (const b of others) {
        this.cut.add(`${a}>${b}`);
        if (!oneWay) this.cut.add(`${b}>${a}`);
      }
    }
  }

  /** Nothing passes to or from a member for `ms`. */
  isolate(id: MemberId, ms: number): void {
    this.alone.add(id);
    this.events.after(ms, () => void this.alone.delete(id));
  }

  private passes({ from, to }: Message): boolean {
    return !this.cut.has(`${from}>${to}`) && !this.alone.has(from) && !this.alone.has(to);
  }

  /** Every link works again. */
  heal(): void {
    this.cut.clear();
    this.alone.clear();
  }
}
