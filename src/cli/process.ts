/** Real time, real terminal, signals; everything else is in `run.ts`. */
import { readFileSync } from 'node:fs';

import { BeltError, EXIT } from '../errors.ts';
import { run } from './run.ts';

/** Runs the line this process was started with and sets its exit code. */
export async function main(): Promise<void> {
  const stop = new AbortController();
  let interrupts = 0;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      interrupts += 1;
      // The first lets the command save and say what is done; who asks twice wants out now.
      if (interrupts > 1) process.exit(130);
      stop.abort(new BeltError('interrupted', 'interrupted', { cause: name }));
    });
  }
  // A reader that left (`belt ls | head -1`) is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

  // As far above the sources as above what is built from them (dist/lib).
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const ports = { cwd: process.cwd(), env: process.env, now: Date.now, signal: stop.signal };
  // A line whose end never comes, with nothing left to wait for, has not been done.
  process.exitCode = EXIT.failed;
  process.exitCode = await run(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, stdin: process.stdin }, ports, version);
}
