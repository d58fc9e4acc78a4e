/**
 * One member as a process of its own: the agent's Raft member with its real disk, store and connections, and a small port for clients in place of
 * the agent's calls. Argument: a JSON object, {@link MemberProcessOptions}. Prints `ready` when it listens.
 */
import { readFileSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { verifyCertificate } from '../../src/certs/identity.ts';
import { isBeltError } from '../../src/errors.ts';
import { NodeDisk } from '../../src/swarm-agent/log/node-disk.ts';
import { Member } from '../../src/swarm-agent/member/member.ts';
import { systemClock } from '../../src/swarm-agent/ports.ts';
import type { RaftConfig } from '../../src/swarm-agent/raft/types.ts';
import { dial } from '../../src/swarm-agent/transport/dial.ts';
import { FRAME_LIMITS, FrameDecoder, encodeFrame } from '../../src/swarm-agent/transport/frames.ts';
import type { Credentials, Identify } from '../../src/swarm-agent/transport/identity.ts';
import { listen } from '../../src/swarm-agent/transport/listener.ts';
import { PeerLinks, type Peer } from '../../src/swarm-agent/transport/peer-links.ts';
import type { Change } from '../../src/swarm-agent/store/commands.ts';
import type { SealedText } from '../../src/swarm-agent/store/records.ts';
import { BENCH_CLUSTER } from './pki.ts';
import { FRAME, decodePut, encodeDone, type MemberReport, type Put, type WriteOutcome } from './wire.ts';

export interface MemberProcessOptions {
  readonly id: string;
  /** All members, `host:port` each; clients use the same port. */
  readonly members: readonly Peer[];
  readonly folder: string;
  /** Folder of the certificates; null: plain TCP, where a client's connection begins with `c` and a member's with `m<id>\n`. */
  readonly pki: string | null;
  readonly config?: Partial<RaftConfig>;
  readonly segmentBytes?: number;
}

const options = JSON.parse(process.argv[2]!) as MemberProcessOptions;
const { id, members, pki } = options;
const own = members.find((peer) => peer.id === id)!;
const [host, port] = [own.address.split(':')[0]!, Number(own.address.split(':')[1])];

const identify: Identify = (certificate) => verifyCertificate(certificate, { nowMs: Date.now(), roots: [readFileSync(join(pki!, 'ca.crt'), 'utf8')], cluster: BENCH_CLUSTER });

function credentials(folder: string): Credentials {
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  return { key: read(`${id}.key`), cert: read(`${id}.crt`), ca: [read('ca.crt')] };
}

function dialPlain({ address }: Peer): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const [peerHost, peerPort] = address.split(':');
    const socket = connect({ host: peerHost!, port: Number(peerPort), noDelay: true }, () => {
      socket.off('error', reject);
      socket.write(`m${id}\n`);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

async function dialTls({ id: expect, address }: Peer): Promise<Duplex> {
  const { socket } = await dial({ address, protocol: 'raft', credentials: credentials(pki!), identify, expect });
  return socket;
}

const links: { current: PeerLinks | null } = { current: null };
const member = new Member({
  id,
  disk: new NodeDisk(options.folder),
  clock: systemClock,
  random: Math.random,
  founding: { members: members.map((peer) => ({ ...peer, voter: true })) },
  ...(options.config === undefined ? {} : { config: options.config }),
  ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  network: (receive) => (links.current = new PeerLinks({ self: id, group: 'bench/0', dial: pki === null ? dialPlain : dialTls, onMessages: receive, random: Math.random })),
  events: {
    onFailed: (error) => {
      process.stderr.write(`${id}: ${error.code}: ${error.message}\n`);
      process.exit(1);
    },
    ...(process.env['BENCH_DEBUG'] === undefined ? {} : { onEvent: (event) => process.stderr.write(`${performance.now().toFixed(0)} ${id} ${JSON.stringify(event)}\n`) }),
  },
});

/** A setting; or, for the key `!rotate`, a rotation of the workers' token, whose version counts how often it was done. */
function changeOf({ key, value }: Put): Change {
  return key === '!rotate' ? { type: 'token.rotate', role: 'worker', secret: value as SealedText } : { type: 'setting.set', key, value };
}

/** What a client may ask a member for. The state with its hash takes a while to gather, and only who compares members needs it. */
function reportOn(withState: boolean): MemberReport {
  const { id: self, role, term, applied, commit } = member.status();
  const figures = { id: self, role, term, applied, commit, logBytes: member.disk().logBytes ?? 0 };
  if (!withState) return { ...figures, state: null };
  const settings = Object.fromEntries([...member.state.tables.settings].map(([key, { value }]) => [key, value]));
  return { ...figures, state: { ...member.hash(), rotations: member.state.tables.tokens.get('worker')?.version ?? 0, settings } };
}

/** Serves one client: answers leave together, once a turn. */
function serveClient(socket: Duplex): void {
  let answers: { id: number; outcome: WriteOutcome }[] = [];
  const answer = (id: number, outcome: WriteOutcome): void => {
    answers.push({ id, outcome });
    if (answers.length > 1) return;
    setImmediate(() => {
      if (!socket.destroyed) socket.write(encodeDone(answers));
      answers = [];
    });
  };
  const decoder = new FrameDecoder(FRAME_LIMITS.call, ({ type, payload }) => {
    if (type === FRAME.put) {
      const put = decodePut(payload);
      member.write(put.request, changeOf(put)).then(
        () => answer(put.id, 'acknowledged'),
        (error: unknown) => answer(put.id, isBeltError(error, 'outcome_unknown') ? 'unknown' : 'refused'),
      );
    } else if (type === FRAME.status) {
      socket.write(encodeFrame(FRAME.statusReply, JSON.stringify(reportOn(payload.toString() === 'state'))));
    }
  });
  socket.on('data', (chunk: Buffer) => decoder.push(chunk));
  socket.on('error', () => socket.destroy());
}

function servePlain(socket: Socket): void {
  socket.once('data', (first: Buffer) => {
    const isMember = first[0] === 'm'.charCodeAt(0);
    const end = isMember ? first.indexOf(10) + 1 : 1;
    if (isMember) links.current!.accept(socket, first.toString('utf8', 1, end - 1));
    else serveClient(socket);
    if (end < first.length) socket.emit('data', first.subarray(end));
  });
  socket.on('error', () => socket.destroy());
}

if (pki === null) {
  const server = createServer({ noDelay: true }, servePlain);
  server.listen(port, host, () => process.stdout.write('ready\n'));
} else {
  await listen({
    host, port, identify, credentials: credentials(pki),
    handlers: { raft: (socket, peer) => links.current!.accept(socket, peer.name), call: serveClient, join: (socket) => socket.destroy() },
  });
  process.stdout.write('ready\n');
}
process.on('SIGTERM', () => void member.stop().then(() => process.exit(0)));
