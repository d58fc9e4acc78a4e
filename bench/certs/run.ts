/**
 * Certificates per second from certificate requests, belt beside `cfssl serve` (Debian's golang-cfssl), P-256 both, in turns in one run:
 *
 *     bin/node bench/certs/run.ts [--seconds 4] [--rounds 3] [--in-flight 16]
 *
 * Both are asked over HTTP on loopback by the same client; belt has one thread, cfssl runs once with every core and once with one thread (GOMAXPROCS=1).
 * The last row is belt's own call without HTTP, as a manager makes it. Each certificate of the first round is checked against its CA and its request.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createAuthority, signCsr } from '../../src/certs/authority.ts';
import { createCsr, newKey } from '../../src/certs/csr.ts';

interface Asked {
  readonly csr: string;
  readonly key: KeyObject;
}
interface Server {
  readonly port: number;
  readonly ca: X509Certificate;
  readonly child: ChildProcess;
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '4' }, rounds: { type: 'string', default: '3' }, 'in-flight': { type: 'string', default: '16' } } });
const seconds = Number(values.seconds);
const inFlight = Number(values['in-flight']);
const folder = mkdtempSync(join(tmpdir(), 'belt-bench-certs-'));
const asked: Asked[] = Array.from({ length: 1000 }, (_, n) => {
  const { key } = newKey();
  return { csr: createCsr(key, `node${n}`), key: createPublicKey(key) };
});

async function startBelt(): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'server.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const { port, ca } = JSON.parse(line) as { port: number; ca: string };
    return { port, ca: new X509Certificate(ca), child };
  }
  throw new Error('the server ended before it listened');
}

async function startCfssl(threads: number | null): Promise<Server> {
  const file = (name: string, text: string): string => {
    const path = join(folder, `${threads ?? 'all'}-${name}`);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const order = file('ca.json', JSON.stringify({ CN: 'bench', key: { algo: 'ecdsa', size: 256 } }));
  const made = spawnSync('cfssl', ['gencert', '-initca', order], { encoding: 'utf8' });
  if (made.error !== undefined) throw new Error('cfssl is missing: apt-get install golang-cfssl');
  const { cert, key } = JSON.parse(made.stdout) as { cert: string; key: string };
  const config = file('config.json', JSON.stringify({ signing: { default: { expiry: '720h', usages: ['digital signature', 'server auth', 'client auth'] } } }));
  const port = await freePort();
  const args = ['serve', '-address', '127.0.0.1', '-port', String(port), '-ca', file('ca.pem', cert), '-ca-key', file('ca-key.pem', key), '-config', config, '-loglevel', '5'];
  const child = spawn('cfssl', args, { stdio: 'ignore', cwd: folder, env: { ...process.env, ...(threads === null ? {} : { GOMAXPROCS: String(threads) }) } });
  await listening(port);
  return { port, ca: new X509Certificate(cert), child };
}

/** cfssl says that it listens only where it would also log every request. Gives up after 10 s. */
async function listening(port: number): Promise<void> {
  for (const until = performance.now() + 10_000; performance.now() < until; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
    socket.destroy();
    if (open) return;
  }
  throw new Error('cfssl does not listen');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Rate {
  readonly perSecond: number;
  /** The signer's CPU per certificate, µs: what remains comparable when the machine has other work. */
  readonly cpuUs: number;
}

/** CPU time of a process, µs, in the 10 ms steps of /proc (proc(5), fields 14 and 15). */
function cpuOf(child: ChildProcess): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Asks over HTTP; each certificate is handed to `check`. */
async function overHttp(server: Server, check: (certificate: string, index: number) => void): Promise<Rate> {
  const cpuBefore = cpuOf(server.child);
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  const until = performance.now() + seconds * 1000;
  let done = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < until) {
      const index = done++ % asked.length;
      const body = JSON.stringify({ certificate_request: asked[index]?.csr, hosts: [`node${index}`, '127.1.2.3'] });
      const answer = JSON.parse(await post(agent, server.port, body)) as { success: boolean; result: { certificate: string } };
      if (!answer.success) throw new Error(`refused: ${JSON.stringify(answer)}`);
      check(answer.result.certificate, index);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  const perSecond = done / ((performance.now() - start) / 1000);
  agent.destroy();
  return { perSecond, cpuUs: (cpuOf(server.child) - cpuBefore) / done };
}

function post(agent: Agent, port: number, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ agent, host: '127.0.0.1', port, path: '/api/v1/cfssl/sign', method: 'POST', headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

function inProcess(): Rate {
  const nowMs = Date.now();
  const authority = createAuthority('0123456789abcdef0123456789abcdef', nowMs);
  const start = performance.now();
  const cpu = process.cpuUsage();
  let done = 0;
  while (performance.now() - start < seconds * 1000) {
    const index = done++ % asked.length;
    signCsr(authority, (asked[index] as Asked).csr, { cluster: authority.cluster, role: 'worker', name: `node${index}` }, { hosts: [`node${index}`, '127.1.2.3'], nowMs });
  }
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / ((performance.now() - start) / 1000), cpuUs: (user + system) / done };
}

const checkAgainst = (ca: X509Certificate) => (certificate: string, index: number): void => {
  const x509 = new X509Certificate(certificate);
  if (!x509.verify(ca.publicKey) || !x509.publicKey.equals((asked[index] as Asked).key)) throw new Error('a certificate is not what was asked for');
};
const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

const servers: Server[] = [];
try {
  const [cfssl, single, belt] = [await startCfssl(null), await startCfssl(1), await startBelt()];
  servers.push(cfssl, single, belt);
  // The first round warms up both and checks what they give; it does not count.
  await overHttp(cfssl, checkAgainst(cfssl.ca));
  await overHttp(single, checkAgainst(single.ca));
  await overHttp(belt, checkAgainst(belt.ca));
  inProcess();
  const rounds: { cfssl: Rate; single: Rate; belt: Rate; call: Rate }[] = [];
  for (let round = 0; round < Number(values.rounds); round += 1) {
    rounds.push({ cfssl: await overHttp(cfssl, () => undefined), single: await overHttp(single, () => undefined), belt: await overHttp(belt, () => undefined), call: inProcess() });
  }
  const row = (name: string, who: 'cfssl' | 'single' | 'belt' | 'call'): void => {
    const all = rounds.map((round) => round[who].perSecond.toFixed(0));
    const of = (other: 'cfssl' | 'single'): string => median(rounds.map((round) => round[who].perSecond / round[other].perSecond)).toFixed(2).padStart(6);
    const [perSecond, cpuUs] = [median(rounds.map((round) => round[who].perSecond)), median(rounds.map((round) => round[who].cpuUs))];
    console.log(`${name.padEnd(32)} ${perSecond.toFixed(0).padStart(7)}/s  ${of('cfssl')} × cfssl${of('single')} × its one thread  ${cpuUs.toFixed(0).padStart(5)} µs CPU each   rounds: ${all.join(' ')}`);
  };
  console.log(`certificates per second from P-256 requests; ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, ${inFlight} requests in flight, ${seconds} s a round`);
  row(`cfssl serve, ${cpus().length} cores`, 'cfssl');
  row('cfssl serve, one thread', 'single');
  row('belt behind the same HTTP call', 'belt');
  row('belt, the call a manager makes', 'call');
} finally {
  for (const { child } of servers) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
