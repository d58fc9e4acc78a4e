/** Which clouds' SDKs a line of belt really loaded. */
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { CommandLine } from './command-line.ts';

const PRELOAD = fileURLToPath(new URL('./list-modules.ts', import.meta.url));
const SDKS = { digitalocean: /^do-wrapper$/, ec2: /^@aws-sdk\//, azure: /^@azure\//, ssh: /^ssh2$/, docker: /^dockerode$/ };

/** Runs the line with every module it loads written down; `whileRunning` may end it. */
export async function sdksLoaded(line: CommandLine, words: readonly string[], whileRunning: (kill: () => void) => void = () => undefined): Promise<string[]> {
  const list = path.join(line.folder, 'modules');
  Object.assign(line.env, { NODE_OPTIONS: `--import=${PRELOAD}`, BELT_TEST_MODULES: list });
  try {
    const running = line.start(...words);
    whileRunning(() => running.child.kill('SIGKILL'));
    await running.ended;
    const packages = new Set(readFileSync(list, 'utf8').split('\n').map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(url)?.[1] ?? ''));
    return Object.entries(SDKS).filter(([, sdk]) => [...packages].some((name) => sdk.test(name))).map(([name]) => name);
  } finally {
    delete line.env['NODE_OPTIONS'];
    rmSync(list, { force: true });
  }
}
