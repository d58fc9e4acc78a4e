import { describe, expect, test } from 'vitest';
import { checkConfig } from '../../src/swarm-agent/raft/config.ts';
import { Timing } from '../../src/swarm-agent/raft/timing.ts';

function after(...roundTrips: [peer: string, ms: number][]): Timing {
  const timing = new Timing(checkConfig());
  let now = 0;
  for (const [peer, ms] of roundTrips) {
    const sentAt = now;
    now += ms;
    timing.measured(peer, sentAt, now);
    now = Math.max(now, sentAt);
  }
  return timing;
}
const many = (peer: string, ms: number): [string, number][] => Array.from({ length: 16 }, () => [peer, ms]);

describe('timeouts follow the round trips', () => {
  test.each<[string, [string, number][], number, number]>([
    ['nothing measured: the shortest', [], 50, 150],
    ['one rack', [...many('b', 0.4), ...many('c', 0.7)], 50, 153],
    ['a slow rack', many('b', 5), 50, 170],
    ['across continents the slowest peer decides', [...many('b', 2), ...many('c', 250)], 125, 1375],
    ['never beyond the longest', many('b', 60_000), 1_000, 8_000],
    ['a pause now and then does not count', [...many('b', 1).slice(0, 13), ['b', 9_000], ['b', 9_000], ['b', 9_000]], 50, 154],
    ['a clock that ran backwards is no round trip', [['b', -50]], 50, 150],
  ])('%s', (_, measured, heartbeatMs, electionMs) => {
    const timing = after(...measured);
    expect([timing.heartbeatMs, timing.electionMs]).toEqual([heartbeatMs, electionMs]);
  });

  test('all heartbeats that one pause has held up are one round trip', () => {
    const timing = after(...many('b', 1));
    // Forty in two seconds, all answered when the process goes on.
    for (let i = 0; i < 40; i++) timing.measured('b', 100_000 + 50 * i, 102_000);
    expect([timing.rtt('b'), timing.electionMs]).toEqual([1, 154]);
    // What is asked after that answer counts again.
    for (let i = 0; i < 16; i++) timing.measured('b', 102_000 + 300 * i, 102_250 + 300 * i);
    expect(timing.rtt('b')).toBe(250);
  });

  test('old round trips are forgotten, and so are members that left', () => {
    const timing = after(...many('b', 250), ...many('b', 1));
    expect(timing.electionMs).toBe(154);
    timing.keep((id) => id !== 'b');
    expect(timing.rtt('b')).toBeNull();
  });

  test('what the leader says counts within the limits', () => {
    const timing = after();
    timing.told(700);
    expect(timing.electionMs).toBe(700);
    timing.told(1);
    expect(timing.electionMs).toBe(150);
  });
});
