import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../src/swarm-agent/raft/config.ts';
import { RaftNode, foundingState } from '../../src/swarm-agent/raft/node.ts';
import { Checker } from './checker.ts';
import { Events } from './events.ts';
import { SimMember } from './member.ts';
import { ModelStorage } from './model-storage.ts';
import { Network } from './network.ts';
import { Random } from './random.ts';

/** A cluster with the default configuration and one-way delays of `delayMs`, without any trouble. */
class Calm {
  readonly events = new Events();
  readonly members: SimMember[];
  /** Times at which somebody was elected. */
  readonly elections: number[] = [];

  constructor(seed: number, size: number, delayMs: readonly [number, number], syncMs: readonly [number, number]) {
    const faults = { loss: 0, doubling: 0, delayMs, late: 0, lateMs: 0 };
    const network: Network = new Network(this.events, new Random(seed, 'network'), faults, (message) => this.members.find(({ id }) => id === message.to)?.receive(message));
    const ids = Array.from({ length: size }, (_, at) => `n${at}`);
    const founding = foundingState({ members: ids.map((id) => ({ id, voter: true, address: `${id}:1` })) });
    const checker = new Checker();
    this.members = ids.map((id) => {
      const disk = { syncMs, slowness: 1, failing: 0 };
      return new SimMember({
        id, config: checkConfig(), disk, node: RaftNode, events: this.events, random: new Random(seed, id), checker, mistakes: {}, applyMs: 0,
        storage: new ModelStorage(this.events, new Random(seed, `disk ${id}`), disk, {}, founding),
        send: (message) => network.send(message), elected: () => void this.elections.push(this.events.now), trace: () => {},
      });
    });
    for (const member of this.members) member.start();
  }

  run(ms: number): void {
    const until = this.events.now + ms;
    while (this.events.step(until));
    this.events.now = until;
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

describe('five managers across continents do not flap', () => {
  test.each([[60, 90], [110, 140], [120, 250]] as const)('delays of %i to %i ms one way', (...delayMs) => {
    const calm = new Calm(delayMs[1], 5, delayMs, [1, 5]);
    calm.run(20_000);
    const before = calm.elections.length;
    expect(before).toBeGreaterThan(0);
    calm.run(600_000);
    expect(calm.elections.length).toBe(before);
  });
});

test.each([3, 5])('%i managers in one rack have a leader again within 0.4 s of a kill, in the median', (size) => {
  const pauses = Array.from({ length: 40 }, (_, seed) => {
    const calm = new Calm(seed, size, [0.1, 0.5], [0.2, 3]);
    calm.run(3_000 + seed * 7);
    const before = calm.elections.length;
    calm.members.find((member) => member.isLeader)!.crash();
    const killed = calm.events.now;
    calm.run(5_000);
    expect(calm.elections.length).toBeGreaterThan(before);
    return calm.elections[before]! - killed;
  });
  expect(median(pauses)).toBeLessThan(300);
  expect(Math.max(...pauses)).toBeLessThan(1_200);
});
