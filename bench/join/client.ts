/** One side of the benchmark in a process of its own, so that CPU and memory are its alone: the join-shaped conversation with every host. */
import { readFileSync } from 'node:fs';
import { connectSsh, loadPrivateKey } from '../../src/ssh/client.ts';
import { readLines } from '../../src/ssh/lines.ts';

export interface Work {
  readonly hosts: readonly { readonly host: string; readonly port: number; readonly user: string }[];
  readonly privateKey: string;
  readonly window: number;
}

/** Three exchanges in one exec, as join has them: facts come, the token goes; the request comes, the certificate goes; done comes. */
const SCRIPT = 'echo facts; read -r token; echo "request $token"; read -r certificate; echo "installed $certificate"';

async function converse(target: Work['hosts'][number], key: ReturnType<typeof loadPrivateKey>): Promise<void> {
  const connection = await connectSsh({ ...target, privateKey: key, hostKey: 'first-sight', timeoutMs: 60_000 });
  const stream = await connection.stream(SCRIPT);
  stream.stderr.resume();
  for await (const line of readLines(stream.stdout)) {
    if (line === 'facts') stream.stdin.write('token\n');
    else if (line === 'request token') stream.stdin.write('certificate\n');
    else if (line !== 'installed certificate') throw new Error(`unexpected: ${line}`);
  }
  const { code } = await stream.exit;
  if (code !== 0) throw new Error(`code ${code}`);
  await connection.close();
}

async function main(): Promise<void> {
  const work = JSON.parse(readFileSync(0, 'utf8')) as Work;
  const key = loadPrivateKey(work.privateKey);
  const idle = process.cpuUsage();
  const began = performance.now();
  const queue = work.hosts.values();
  const errors: string[] = [];
  await Promise.all(
    Array.from({ length: work.window }, async () => {
      for (const target of queue) await converse(target, key).catch((error: unknown) => errors.push(`${target.host}: ${(error as Error).message}`));
    }),
  );
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(idle);
  process.stdout.write(JSON.stringify({ wallMs, cpuMs: (user + system) / 1_000, peakMb: process.resourceUsage().maxRSS / 1_024, failed: errors.length, errors: errors.slice(0, 3) }));
}

await main();
