import { DescribeInstancesCommand, EC2Client, RunInstancesCommand, StartInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { FAKE_IMAGE, startEc2, type Ec2Fake } from './ec2/service.ts';
import type { RegionOptions } from './ec2/state.ts';

let fake: Ec2Fake;
let client: EC2Client;
async function start(options: Partial<RegionOptions> = {}): Promise<void> {
  fake = await startEc2(options);
  client = new EC2Client({ region: 'eu-west-1', endpoint: fake.url, maxAttempts: 1, credentials: { accessKeyId: 'AKIAFAKE', secretAccessKey: 'x' } });
}
afterEach(async () => {
  client.destroy();
  await fake.close();
});
const run = (token: string, count = 2, more: object = {}): RunInstancesCommand => new RunInstancesCommand({ ImageId: FAKE_IMAGE, MinCount: 1, MaxCount: count, InstanceType: 't3.nano', ClientToken: token, ...more });

describe('the EC2 fake', () => {
  it('answers a repeated ClientToken with the same instances and refuses it for another order', async () => {
    await start();
    const first = await client.send(run('t1'));
    const again = await client.send(run('t1'));
    expect(again.Instances?.map((i) => i.InstanceId)).toEqual(first.Instances?.map((i) => i.InstanceId));
    await expect(client.send(run('t1', 3))).rejects.toMatchObject({ name: 'IdempotentParameterMismatch' });
  });

  it('starts as many as there is room for, and none below MinCount', async () => {
    await start({ capacity: new Map([['t3.nano', 3]]) });
    expect((await client.send(run('a', 5))).Instances).toHaveLength(3);
    await expect(client.send(run('b', 1))).rejects.toMatchObject({ name: 'InsufficientInstanceCapacity', $metadata: { httpStatusCode: 500 } });
  });

  it('throttles RunInstances after five requests and by instances', async () => {
    const hand = { now: 1_000_000 };
    await start({ clock: () => hand.now });
    for (let n = 0; n < 5; n += 1) await client.send(run(`t${n}`, 1));
    await expect(client.send(run('t5', 1))).rejects.toMatchObject({ name: 'RequestLimitExceeded' });
    hand.now += 500;
    await client.send(run('t5', 1));
    hand.now += 60_000;
    await expect(client.send(run('t6', 1001))).rejects.toMatchObject({ name: 'RequestLimitExceeded' });
    expect(fake.throttled()).toBe(2);
  });

  it('shows a new instance only after the lag, pending first', async () => {
    const hand = { now: 1_000_000 };
    await start({ clock: () => hand.now, lagMs: 2_000, bootMs: 10_000 });
    const id = (await client.send(run('t', 1))).Instances?.[0]?.InstanceId as string;
    await expect(client.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).rejects.toMatchObject({ name: 'InvalidInstanceID.NotFound' });
    const state = async (): Promise<string | undefined> => (await client.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations?.[0]?.Instances?.[0]?.State?.Name;
    hand.now += 2_000;
    expect(await state()).toBe('pending');
    hand.now += 8_000;
    expect(await state()).toBe('running');
  });

  it('does not start what is terminated', async () => {
    const hand = { now: 1_000_000 };
    await start({ clock: () => hand.now, bootMs: 1_000 });
    const id = (await client.send(run('t', 1))).Instances?.[0]?.InstanceId as string;
    await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    hand.now += 1_000;
    await expect(client.send(new StartInstancesCommand({ InstanceIds: [id] }))).rejects.toMatchObject({ name: 'IncorrectInstanceState' });
  });

  it('is EC2 to the AWS command line as well', async (context) => {
    const aws = promisify(execFile);
    const there = await aws('aws', ['--version']).then(() => true, () => false);
    if (!there) return context.skip('no AWS command line here');
    await start();
    await client.send(run('t', 3, { TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'belt', Value: 'a&b' }] }] }));
    const env = { ...process.env, AWS_ACCESS_KEY_ID: 'AKIAFAKE', AWS_SECRET_ACCESS_KEY: 'x', AWS_DEFAULT_REGION: 'eu-west-1' };
    const { stdout } = await aws('aws', ['--endpoint-url', fake.url, 'ec2', 'describe-instances', '--filters', 'Name=tag:belt,Values=a&b', '--query', 'length(Reservations[].Instances[])', '--max-items', '100'], { env });
    expect(Number(stdout.trim().split('\n')[0])).toBe(3);
  }, 60_000);
});
