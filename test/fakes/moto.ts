/** moto, an independent emulator of EC2, as a process of its own on loopback. */
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { vi } from 'vitest';

/** Where it is missing, tests on it are skipped by name. */
export const motoFound = await promisify(execFile)('moto_server', ['--help']).then(() => true, () => false);

export interface Moto {
  readonly url: string;
  readonly region: string;
  /** An image of the region: moto brings Canonical's of 2016 only, and any will do. */
  readonly image: string;
  close(): Promise<void>;
}

const REGION = 'eu-west-1';

export async function startMoto(): Promise<Moto> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...process.env, MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: 'true', MOTO_ENABLE_AMI_VALIDATION: 'true', MOTO_ENABLE_KEYPAIR_VALIDATION: 'true' };
  const server = spawn('moto_server', ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore', env });
  await vi.waitFor(async () => {
    if (!(await fetch(`${url}/moto-api/`)).ok) throw new Error('moto does not answer');
  }, { timeout: 30_000 });
  const close = (): Promise<void> => new Promise((resolve) => (server.once('exit', () => resolve()), server.kill()));
  return { url, region: REGION, image: await anImage(url), close };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

async function anImage(url: string): Promise<string> {
  const { EC2Client, DescribeImagesCommand } = await import('@aws-sdk/client-ec2');
  const client = new EC2Client({ region: REGION, endpoint: url, credentials: { accessKeyId: 'AKIAFAKE', secretAccessKey: 'x' } });
  const { Images = [] } = await client.send(new DescribeImagesCommand({ Owners: ['099720109477'] }));
  client.destroy();
  return Images[0]?.ImageId as string;
}
