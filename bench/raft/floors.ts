/** What the machine gives at best: synced appends, and round trips over TLS between two processes. No member can be faster than these. */
import { spawn } from 'node:child_process';
import { closeSync, constants, fdatasync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';

const RECORD = Buffer.alloc(300, 7);

/** Appends of 300 bytes per second to a file filled ahead, each synced before the next. */
export async function syncedAppends(folder: string, ms: number): Promise<number> {
  const path = join(folder, 'floor');
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC);
  const sync = (): Promise<void> => new Promise((resolve, reject) => fdatasync(fd, (error) => (error === null ? resolve() : reject(error))));
  writeSync(fd, Buffer.alloc(16 * 1024 * 1024));
  await sync();
  const end = performance.now() + ms;
  let count = 0;
  for (; performance.now() < end; count++) {
    writeSync(fd, RECORD, 0, RECORD.length, (count * 304) % (15 * 1024 * 1024));
    await sync();
  }
  closeSync(fd);
  rmSync(path);
  return count / (ms / 1000);
}

/** Round trips per second of 300 bytes and a short answer, over mutual TLS 1.3 between two processes, with `inFlight` under way. */
export async function tlsRoundTrips(pki: string, port: number, inFlight: number, ms: number): Promise<number> {
  const server = spawn(process.execPath, [import.meta.filename, pki, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const read = (name: string): string => readFileSync(join(pki, name), 'utf8');
  const socket = connect({ host: '127.0.0.1', port, key: read('client.key'), cert: read('client.crt'), ca: read('ca.crt'), checkServerIdentity: () => undefined });
  socket.setNoDelay(true);
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  let count = 0;
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    const answers = Math.floor(bytes / 16);
    bytes -= 16 * answers;
    count += answers;
    socket.write(Buffer.concat(Array.from({ length: answers }, () => RECORD)));
  });
  socket.write(Buffer.concat(Array.from({ length: inFlight }, () => RECORD)));
  await new Promise((resolve) => setTimeout(resolve, ms));
  const perSecond = count / (ms / 1000);
  socket.destroy();
  server.kill('SIGKILL');
  return perSecond;
}

/** The other process: answers every 300 bytes with 16. */
function serve(pki: string, port: number): void {
  const read = (name: string): string => readFileSync(join(pki, name), 'utf8');
  const server = createServer({ key: read('m1.key'), cert: read('m1.crt'), ca: read('ca.crt'), requestCert: true, noDelay: true, minVersion: 'TLSv1.3' }, (socket) => {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      const requests = Math.floor(bytes / RECORD.length);
      bytes -= requests * RECORD.length;
      if (requests > 0) socket.write(Buffer.alloc(16 * requests));
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(port, '127.0.0.1', () => process.stdout.write('ready\n'));
}

if (process.argv[1] === import.meta.filename) serve(process.argv[2]!, Number(process.argv[3]));
