/**
 * kill -9 of `belt create`, `bootstrap`, `swarm form` and `swarm join` at seeded moments, then the same line again: exactly what was asked, nothing
 * doubled, nothing orphaned. BELT_CRASH_SWARM_SEEDS (4) is how many moments are tried over the four lines; `npm run crash` tries a hundred.
 */
import { afterAll, describe, expect, it } from 'vitest';

import { CrashSite, deaths, type Death } from './crash.ts';

const COUNT = Number(process.env['BELT_CRASH_SWARM_SEEDS'] ?? 4);
const SEED = Number(process.env['BELT_CRASH_SEED'] ?? 1);
const ALL = ['mg0', 'mg1', 'mg2', 'node1', 'node2'];
const LINES = [
  ['create', '512mb', 'mg[0:2],node[1:2]', '--region', 'a,b,c'],
  ['bootstrap', 'mg[0:2],node[1:2]'],
  ['swarm', 'form', '3/3', 'mg[0:2]'],
  ['swarm', 'join', 'mg0', 'node[1:2]'],
] as const;
type Line = (typeof LINES)[number];

interface Node {
  readonly name: string;
  readonly id: string;
  readonly role: string;
  readonly status: string;
}

describe('kill -9', () => {
  const site = new CrashSite();
  const remove = (): Promise<{ code: number | null }> => site.belt(['cluster', 'rm', 'default', '--yes', '--force']);
  afterAll(async () => {
    await remove();
    site.remove();
  });

  async function done(line: readonly string[], where: string): Promise<string> {
    const { code, stdout, stderr } = await site.belt(line);
    expect([where, line.join(' '), code, code === 0 ? '' : stderr]).toEqual([where, line.join(' '), 0, '']);
    return stdout;
  }

  /** The whole session; the line that is to die is repeated after its death. True when it did die. */
  async function session(dying: Line, death: Death): Promise<boolean> {
    const where = `${dying.join(' ')} ${JSON.stringify(death)}`;
    let died = false;
    for (const line of LINES) {
      if (line === dying) died = (await site.die(line, death)).signal === 'SIGKILL';
      await done(line, where);
    }
    const machines = JSON.parse(await done(['ls', '--json'], where)) as Node[];
    expect([where, machines.map(({ name }) => name)]).toEqual([where, ALL]);
    const nodes = JSON.parse(await done(['swarm', 'nodes', '--json'], where)) as Node[];
    expect([where, nodes.map(({ name, role }) => [name, role])]).toEqual([where, ALL.map((name) => [name, name.startsWith('mg') ? 'manager' : 'worker'])]);
    expect([where, new Set(nodes.map(({ id }) => id)).size]).toEqual([where, ALL.length]);
    // A second run of everything finds nothing to do.
    expect([where, await done(LINES[1], where)]).toEqual([where, expect.stringMatching(/^\S+: nothing to do\n$/)]);
    expect([where, (await done(LINES[3], where)).match(/part of the swarm already/g)?.length]).toEqual([where, 2]);
    const status = JSON.parse(await done(['swarm', 'status', '--json'], where)) as { managers: { voter: boolean }[]; reachable: number };
    expect([where, status.managers.map(({ voter }) => voter), status.reachable]).toEqual([where, [true, true, true], 3]);
    await done(['doctor'], where);
    expect((await remove()).code).toBe(0);
    return died;
  }

  it(`of a session's lines at ${COUNT} moments (seed ${SEED})`, { timeout: 60_000 + COUNT * 30_000 }, async () => {
    const moments: number[] = [];
    for (const line of LINES) moments.push(await site.countMoments(line));
    expect((await remove()).code).toBe(0);
    const each = Math.ceil(COUNT / LINES.length);
    let killed = 0;
    for (const [at, line] of LINES.entries()) {
      for (const death of deaths(SEED + at, moments[at] ?? 1, each)) if (await session(line, death)) killed += 1;
    }
    // Otherwise nothing was tested.
    expect(killed).toBeGreaterThan((each * LINES.length) / 2);
  });
});
