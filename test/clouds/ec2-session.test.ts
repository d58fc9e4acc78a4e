/** What a user types, on moto. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { motoFound, startMoto, type Moto } from '../fakes/moto.ts';
import { motoLine } from './cloud-lines.ts';
import { rows, type CommandLine } from './command-line.ts';
import { sdksLoaded } from './loaded.ts';

describe.skipIf(!motoFound)('a session on EC2 (needs moto_server)', () => {
  let moto: Moto;
  let line: CommandLine;
  beforeAll(async () => {
    moto = await startMoto();
    line = motoLine(moto);
  }, 40_000);
  afterAll(async () => {
    line.remove();
    await moto.close();
  });

  it('create, ls, status, ip, resize, stop, start, rm', async () => {
    const belt = async (words: string): Promise<string> => {
      const ran = await line.belt(...words.split(' '));
      expect([words, ran.exit]).toEqual([words, 0]);
      return ran.stdout;
    };
    const created = rows(await belt('create 512mb node[1:4]'));
    expect(created.slice(1).map(([name, , ...rest]) => [name, ...rest])).toEqual([1, 2, 3, 4].map((n) => [`node${n}`, '512', moto.region, moto.image, 'active']));
    expect(rows(await belt('ls'))).toEqual(created);
    expect(await sdksLoaded(line, ['ls'])).toEqual(['ec2']);
    expect(await belt('status --wait active=4')).toMatch(/^active +4 +node\[1:4\]$/m);
    expect(await belt('ip node2')).toBe(`${created[2]?.[1]}\n`);
    expect(await belt('resize node[1:2] 2gb')).toBe('node1: resized\nnode2: resized\n');
    expect(rows(await belt('ls')).slice(1).map((row) => row[2])).toEqual(['2048', '2048', '512', '512']);
    expect(await belt('stop node1')).toBe('node1: stopped\n');
    expect(await belt('status')).toMatch(/^off +1 +node1$/m);
    expect(await belt('start node1')).toBe('node1: started\n');
    expect(await belt('rm node[1:4] --yes')).toContain('node4: removed');
    expect(rows(await belt('ls'))).toEqual([['NAME', 'IPv4', 'MEMORY', 'REGION', 'IMAGE', 'STATUS']]);
  }, 60_000);
});
