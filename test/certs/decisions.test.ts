import { describe, expect, it } from 'vitest';
import { freshness, renewAt, retryAfterMs } from '../../src/certs/renewal.ts';
import { nextRotationStep, REISSUE_BATCH, type RotationNode } from '../../src/certs/rotation.ts';

const DAY = 86_400_000;
const month = { notBefore: 0, notAfter: 30 * DAY };

describe('renewal', () => {
  it.each([[0, 15], [0.999_999, 16.5]])('chance %d: after %d days of 30', (chance, days) => {
    expect(renewAt(month, chance) / DAY).toBeCloseTo(days, 3);
  });

  it.each([[0, 'fresh'], [15 * DAY - 1, 'fresh'], [15 * DAY, 'due'], [30 * DAY - 1, 'due'], [30 * DAY, 'expired']])('at %d: %s', (now, expected) => {
    expect(freshness(month, now)).toBe(expected);
  });

  it('tries again within seconds for a certificate of a minute, within the hour for one of a month', () => {
    expect(retryAfterMs({ notBefore: 0, notAfter: 60_000 }, 1, 30_000, 0.999)).toBeLessThanOrEqual(1_000);
    expect(retryAfterMs(month, 1, 15 * DAY, 0.999)).toBeLessThanOrEqual(3_600_000);
    expect(retryAfterMs(month, 50, 15 * DAY, 0.5)).toBeLessThanOrEqual(3_600_000);
  });

  it('always leaves room for another try while the certificate lasts', () => {
    for (let left = 10_000; left >= 3_000; left -= 1_000) expect(retryAfterMs({ notBefore: 0, notAfter: 60_000 }, 9, 60_000 - left, 0.999)).toBeLessThanOrEqual(left / 4);
  });
});

describe('rotation', () => {
  const node = (id: string, more: Partial<RotationNode> = {}): RotationNode => ({ id, reachable: true, trustsBoth: true, reissued: false, notAfter: 30 * DAY, ...more });

  it.each([
    ['nothing to do', 'steady', [node('a')], { do: 'nothing' }],
    ['all reachable nodes must trust both first', 'distributing', [node('a'), node('b', { trustsBoth: false })], { do: 'wait', for: ['b'] }],
    ['one that is off does not hold up trust', 'distributing', [node('a'), node('b', { trustsBoth: false, reachable: false })], { do: 'sign-with-new' }],
    ['then nodes renew', 'reissuing', [node('a', { reissued: true }), node('b')], { do: 'renew', nodes: ['b'] }],
    ['one that is off holds up the end', 'reissuing', [node('a', { reissued: true }), node('b', { reachable: false })], { do: 'wait', for: ['b'] }],
    ['until its certificate has run out', 'reissuing', [node('a', { reissued: true }), node('b', { reachable: false, notAfter: DAY })], { do: 'drop-old' }],
    ['all done', 'reissuing', [node('a', { reissued: true })], { do: 'drop-old' }],
  ] as const)('%s', (_name, phase, nodes, expected) => {
    expect(nextRotationStep(phase, nodes, DAY)).toEqual(expected);
  });

  it('goes in batches', () => {
    const step = nextRotationStep('reissuing', Array.from({ length: 100 }, (_, n) => node(`n${n}`)), 0);
    expect(step.do === 'renew' && step.nodes).toHaveLength(REISSUE_BATCH);
  });

  it('comes to its end from any start, with nodes going off and on', () => {
    let phase: 'steady' | 'distributing' | 'reissuing' = 'distributing';
    let nodes = Array.from({ length: 70 }, (_, n) => node(`n${n}`, { trustsBoth: false, reachable: n % 7 !== 0 }));
    let steps = 0;
    while ((phase as string) !== 'steady') {
      steps += 1;
      expect(steps).toBeLessThan(50);
      const step = nextRotationStep(phase, nodes, DAY);
      if (step.do === 'sign-with-new') phase = 'reissuing';
      else if (step.do === 'drop-old') phase = 'steady';
      else if (step.do === 'renew') nodes = nodes.map((n) => (step.nodes.includes(n.id) ? { ...n, reissued: true } : n));
      else if (step.do === 'wait') nodes = nodes.map((n) => ({ ...n, reachable: true, trustsBoth: true }));
    }
    expect(nodes.every((n) => n.reissued)).toBe(true);
  });
});
