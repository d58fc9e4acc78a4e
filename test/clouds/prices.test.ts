/** Prices where the cloud tells them, and the word for where it does not. */
import { expect, it } from 'vitest';

import { startEc2 } from '../fakes/ec2/service.ts';
import { ec2Line } from './cloud-lines.ts';
import { rows } from './command-line.ts';

it('EC2 tells what spot costs now, and nothing else', async () => {
  const fake = await startEc2();
  const line = ec2Line(fake);
  try {
    expect(rows((await line.belt('sizes', '1gb')).stdout)[1]).toEqual(['1gb', 'ec2', 't3.micro', '1024', 'unknown']);
    // The dearest zone: EC2 chooses.
    expect(rows((await line.belt('sizes', '1gb', '--spot')).stdout)[1]).toEqual(['1gb', 'ec2', 't3.micro', '1024', '0.0012']);
    expect((await line.belt('create', '1gb', 'node[1:100]', '--dry-run')).stdout).toMatch(/100 machines, about \d+ calls, price unknown; nothing was made/);
    const plan = JSON.parse((await line.belt('create', '1gb', 'node[1:100]', '--dry-run', '--spot', '--region', 'eu-west-1,us-east-1', '--json')).stdout) as { create: { region: string; pricePerHour: number }[]; pricePerHour: number };
    expect([plan.create.map(({ region, pricePerHour }) => [region, pricePerHour.toFixed(4)]), plan.pricePerHour.toFixed(4)]).toEqual([[['eu-west-1', '0.0612'], ['us-east-1', '0.0612']], '0.1224']);
    expect((await line.belt('create', '1gb', 'node1', '--spot', '--dry-run')).stdout).toContain('0.001 an hour');
  } finally {
    line.remove();
    await fake.close();
  }
}, 120_000);
