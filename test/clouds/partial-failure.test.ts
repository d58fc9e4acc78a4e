/**
 * A create that does not go well, as a user sees it on each cloud: no room, a quota, and a mistake are three things, told apart in words, codes and exit.
 * The cases wait for their clouds more than they work, so they run side by side, each with a cloud of its own.
 */
import { describe, expect, it } from 'vitest';

import { schemasFound } from '../fakes/azure/schemas.ts';
import { startAzure } from '../fakes/azure/service.ts';
import { contractFound } from '../fakes/digitalocean/contract.ts';
import { startDigitalOcean } from '../fakes/digitalocean/service.ts';
import { startEc2 } from '../fakes/ec2/service.ts';
import { azureLine, digitalOceanLine, ec2Line } from './cloud-lines.ts';
import { rows, type CommandLine, type Ran } from './command-line.ts';

/** A cloud with room, or an allowance, for `machines` more of size 1gb; null: no end of it. */
interface Room {
  readonly capacity?: number;
  readonly quota?: number;
  /** Lines of the cloud's block of the configuration. */
  readonly config?: string;
}
interface Cloud extends AsyncDisposable {
  readonly line: CommandLine;
  readonly machines: () => number;
}
/** The session of a test: gone when the test ends. */
const cloudOf = (line: CommandLine, machines: () => number, close: () => Promise<void>): Cloud => ({
  line, machines,
  [Symbol.asyncDispose]: async () => {
    line.remove();
    await close();
  },
});
const CLOUDS: Readonly<Record<string, { missing: boolean; start(room: Room): Promise<Cloud> }>> = {
  digitalocean: {
    missing: !contractFound && process.env['CI'] !== 'true',
    async start({ capacity, quota }) {
      const fake = await startDigitalOcean({ token: 'right', bootMs: 5, ...(quota === undefined ? {} : { dropletLimit: quota }) });
      if (capacity !== undefined) Object.assign(fake.account.options, { capacity });
      const line = digitalOceanLine(fake);
      return cloudOf(line, () => fake.account.droplets.size, () => fake.close());
    },
  },
  ec2: {
    missing: false,
    async start({ capacity, quota, config = '' }) {
      const fake = await startEc2({ bootMs: 5, ...(quota === undefined ? {} : { instanceLimit: quota }), ...(capacity === undefined ? {} : { capacity: new Map([['t3.micro', capacity]]) }) });
      const line = ec2Line(fake, config);
      return cloudOf(line, () => fake.region('eu-west-1').alive(), () => fake.close());
    },
  },
  azure: {
    missing: !schemasFound && process.env['CI'] !== 'true',
    async start({ capacity, quota, config = '' }) {
      const fake = await startAzure({ bootMs: 5, ...(quota === undefined ? {} : { coreQuota: quota }), ...(capacity === undefined ? {} : { capacity: new Map([['Standard_B1s', capacity]]) }) });
      const line = azureLine(fake, config);
      return cloudOf(line, () => fake.subscription.list(null, 'Microsoft.Compute/virtualMachines').length, () => fake.close());
    },
  },
};

/** The failed machines of a run, each with why. */
const reasons = (ran: Ran): string[] => [...ran.stderr.matchAll(/^ {2}(node\d): (.*)$/gm)].map(([, , why]) => why as string);
const lineOf = ({ line }: Cloud) => (words: string): Promise<Ran> => line.belt(...words.split(' '));

describe.concurrent.each(Object.keys(CLOUDS))('%s', (name) => {
  const kind = CLOUDS[name] as (typeof CLOUDS)[string];

  it.skipIf(kind.missing).each([
    ['no room', { capacity: 2 }, /capacity|not available in this region/i, /try another|fallback_types/],
    ['a quota', { quota: 2 }, /limit|quota/i, /higher/],
  ])('%s: what there is room for is kept, the rest named with its reason, exit 3', async (_what, room, why, next) => {
    await using cloud = await kind.start(room);
    const belt = lineOf(cloud);
    const ran = await belt('create 1gb node[1:4]');
    expect([ran.exit, rows(ran.stdout).length, cloud.machines(), reasons(ran)]).toEqual([3, 3, 2, [expect.stringMatching(why), expect.stringMatching(why)]]);
    for (const reason of reasons(ran)) expect(reason).toMatch(next);
    const none = await belt('create 1gb late --json');
    expect([none.exit, none.stdout === '' || JSON.parse(none.stdout)]).toEqual([1, []]);
    const back = await belt('create 1gb late[1:2] --rollback');
    expect([back.exit, cloud.machines()]).toEqual([1, 2]);
    expect(rows((await belt('ls')).stdout)).toHaveLength(3);
  }, 240_000);

  it.skipIf(kind.missing)('a mistake: nothing is made, the cloud’s own word is shown, and nobody is told to try elsewhere', async () => {
    await using cloud = await kind.start({});
    const belt = lineOf(cloud);
    const ran = await belt('create no-such-size node[1:2]');
    expect([ran.exit, cloud.machines(), ran.stderr]).toEqual([1, 0, expect.stringMatching(/invalid|not valid/i)]);
    expect(ran.stderr).not.toMatch(/another region|another zone|higher/);
    const huge = await belt('create 9000gb node1');
    expect([huge.exit, huge.stderr]).toEqual([1, expect.stringMatching(/no type.* has 9216000 MB of memory; the largest has \d+ MB/)]);
  }, 240_000);

  // DigitalOcean's driver has no other size to try.
  if (name !== 'digitalocean') it.skipIf(kind.missing)('another size is tried only where the configuration names one', async () => {
    await using cloud = await kind.start({ capacity: 1, config: `  fallback_types: [${name === 'ec2' ? 't3.medium' : 'Standard_B2s'}]\n` });
    const belt = lineOf(cloud);
    const ran = await belt('create 1gb node[1:3] --json');
    expect(ran.exit).toBe(0);
    expect((JSON.parse(ran.stdout) as { size: string }[]).map(({ size }) => size).sort()).toEqual(name === 'ec2' ? ['t3.medium', 't3.medium', 't3.micro'] : ['Standard_B1s', 'Standard_B2s', 'Standard_B2s']);
  }, 240_000);
});
