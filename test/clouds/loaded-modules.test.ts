/** A line about one cloud loads its SDK and no other's: by the list of modules that the process really loaded. `belt ls` is in the sessions. */
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { commandLine } from './command-line.ts';
import { sdksLoaded } from './loaded.ts';

let nobody: Server;
let called: () => void = () => undefined;
/** Takes calls and never answers: when one comes, all that is needed for it is loaded. */
beforeAll(() => new Promise<void>((resolve) => (nobody = createServer((socket) => void socket.on('error', () => undefined).once('data', () => called())).listen(0, '127.0.0.1', resolve))));
afterAll(() => new Promise<void>((resolve) => nobody.close(() => resolve())));

const ID = '00000000-1111-2222-3333-444444444444';
const CONFIG: Readonly<Record<string, (at: string) => string>> = {
  local: () => '',
  generic: () => 'generic:\n  hosts: [127.0.0.1]\n',
  digitalocean: (at) => `digitalocean:\n  token: x\n  api_url: http://${at}/v2/\n`,
  ec2: (at) => `ec2:\n  access_key_id: x\n  secret_access_key: x\n  endpoint: http://${at}\n`,
  azure: (at) => `azure:\n  subscription_id: ${ID}\n  tenant_id: ${ID}\n  client_id: x\n  client_secret: x\n  endpoint: https://${at}\n  authority_host: https://${at}\n`,
};

it.each([['local', []], ['generic', []], ['digitalocean', ['digitalocean']], ['ec2', ['ec2']], ['azure', ['azure']]] as const)('belt sizes on %s loads %j', async (driver, expected) => {
  const at = `127.0.0.1:${(nobody.address() as { port: number }).port}`;
  const line = commandLine(`driver: ${driver}\n${CONFIG[driver]?.(at)}`);
  try {
    expect(await sdksLoaded(line, ['sizes', '1gb'], (kill) => (called = kill))).toEqual(expected);
  } finally {
    line.remove();
  }
}, 60_000);
