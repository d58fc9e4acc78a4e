/**
 * The agent's first minutes, before bootstrap has given it a certificate: it makes its key, says its request to bootstrap's conversation and
 * waits. One process does it and then goes on as the agent, because starting Node is most of what a bootstrap costs.
 *
 * The conversation listens on a named pipe that it makes before it starts the agent; without one (a machine that was switched off half-way)
 * the agent waits until the next bootstrap makes it.
 */
import { createPrivateKey } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, watch, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { createCsr, newKey } from '../../certs/csr.ts';
import { type AgentFiles, readText, writeText } from './files.ts';

/** The pipe that bootstrap's conversation reads while it lasts. */
export function enrolPipe(files: AgentFiles): string {
  return join(files.paths.state, 'enrol');
}

/** Says one line to the conversation. False where nobody listens. */
export function tellBootstrap(files: AgentFiles, line: string): boolean {
  try {
    const pipe = openSync(enrolPipe(files), constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(pipe, `${line}\n`);
      return true;
    } finally {
      closeSync(pipe);
    }
  } catch {
    return false;
  }
}

/** Resolves once key, certificate and roots are there; at once where they are already. Rejects with the signal's reason, or `BeltError('disk')`. */
export async function awaitCertificate(files: AgentFiles, signal: AbortSignal): Promise<void> {
  const { paths } = files;
  const complete = (): boolean => [paths.key, paths.cert, paths.roots].every((path) => readText(path) !== null);
  if (complete()) return;
  mkdirSync(paths.pki, { recursive: true, mode: 0o700 });
  const request = `csr ${Buffer.from(createCsr(createPrivateKey(ownKey(files)), files.config().machine)).toString('base64')}`;
  let told = tellBootstrap(files, request);
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (complete()) end(resolve);
      else told ||= tellBootstrap(files, request);
    };
    // The pipe comes into one folder, the certificate into the other; a second's look beside the watch covers file systems without one.
    const watches = [
      watch(dirname(enrolPipe(files)), (_event, name) => {
        // Another conversation has made its own pipe: it has not heard the request yet.
        if (name === basename(enrolPipe(files))) told = false;
        look();
      }),
      watch(paths.pki, look),
    ];
    const timer = setInterval(look, 1000);
    const onAbort = (): void => end(() => reject(signal.reason as Error));
    const end = (settle: () => void): void => {
      clearInterval(timer);
      for (const one of watches) one.close();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    look();
  });
}

/** The machine's key: born here, 0600, and never sent anywhere. */
function ownKey(files: AgentFiles): string {
  const known = readText(files.paths.key);
  if (known !== null) return known;
  const { pem } = newKey();
  writeText(files.paths.key, pem);
  return pem;
}
