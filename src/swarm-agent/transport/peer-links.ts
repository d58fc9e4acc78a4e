/**
 * The connections of one manager to the others. Each manager dials every other one and only sends on the connections it dialed; what it
 * receives comes in on those the others dialed. A connection has a bounded queue: what does not fit is dropped, as Raft allows, so a slow
 * or dead manager slows nobody. Votes, heartbeats and replies overtake entries and snapshots that wait.
 */
import type { Duplex } from 'node:stream';
import { BeltError, asBeltError } from '../../errors.ts';
import type { MemberId, Message } from '../raft/types.ts';
import { FRAME_LIMITS, FrameDecoder, encodeFrame, type Frame } from './frames.ts';
import { GROUP_FRAME, HELLO_FRAME, PING_FRAME, PONG_FRAME, REFUSED_FRAME, decodeMessage, encodeMessages, isBulk } from './raft-codec.ts';

/** Another manager. */
export interface Peer {
  readonly id: MemberId;
  readonly address: string;
}

export interface PeerLinksOptions {
  readonly self: MemberId;
  /** Cluster and epoch: members of another group are refused, so that a manager left behind by a rebuild disturbs nobody. */
  readonly group: string;
  /** Connects to a manager and checks that it is the one meant. */
  readonly dial: (peer: Peer) => Promise<Duplex>;
  /** Messages that arrived together, in order. */
  readonly onMessages: (messages: Message[]) => void;
  /** A connection came or went, for the log. `error` null: it is open. */
  readonly onLink?: (peer: Peer, error: BeltError | null) => void;
  /** A manager at either end of a connection is of this group and not of ours. */
  readonly onOtherGroup?: (group: string) => void;
  /** Uniform in [0, 1): spreads the reconnects. */
  readonly random: () => number;
  /** Most bytes of entries and snapshots that wait for one manager; beyond it the oldest go. Default 16 MiB. */
  readonly queueBytesMax?: number;
  /** Every so often a connection is asked whether it lives, ms; after four questions without an answer it is dialed anew. Default 1,000. */
  readonly pingMs?: number;
}

/** Pause before dialing again, ms: doubled from the first to the last, and half of it random. */
const BACKOFF = { first: 20, last: 1_000 } as const;
/** Bytes handed to a socket ahead of what it has sent: enough to fill the way, little enough to overtake. */
const SOCKET_BYTES_MAX = 256 * 1024;
/** Questions without an answer after which a connection is taken for dead. TCP alone would try for minutes, and long after a partition has healed. */
const UNANSWERED_MAX = 4;
const PING = encodeFrame(PING_FRAME, '');
const PONG = encodeFrame(PONG_FRAME, '');
/** A connection that brings no hello for so long is cut, ms. */
const HELLO_TIMEOUT_MS = 5_000;

interface Hello {
  readonly group: string;
  readonly from: MemberId;
  readonly to: MemberId;
}

export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #links = new Map<MemberId, Link>();
  readonly #incoming = new Set<Duplex>();
  readonly #pingMs: number;
  /** What managers are told; ours, until the group went on without us. */
  #group: string;
  /** Why no connection is taken any more. */
  #over: string | null = null;

  constructor(options: PeerLinksOptions) {
    this.#options = options;
    this.#group = options.group;
    this.#pingMs = options.pingMs ?? 1_000;
  }

  /** Whom to be connected to from now on. Connections to others are closed, a changed address is dialed anew. */
  setPeers(peers: readonly Peer[]): void {
    const wanted = new Map(peers.filter(({ id }) => id !== this.#options.self).map((peer) => [peer.id, peer]));
    for (const [id, link] of this.#links) {
      if (wanted.get(id)?.address === link.peer.address) continue;
      link.close();
      this.#links.delete(id);
    }
    for (const [id, peer] of wanted) if (!this.#links.has(id)) this.#links.set(id, new Link(peer, this.#options));
  }

  /** Sends what can be sent; messages to a manager that is not connected are dropped. Never blocks. */
  send(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const first = messages[0]!.to;
    if (messages.every(({ to }) => to === first)) return this.#links.get(first)?.send(messages);
    const byPeer = Map.groupBy(messages, ({ to }) => to);
    for (const [id, part] of byPeer) this.#links.get(id)?.send(part);
  }

  /** Takes a connection that the manager `from` (by its certificate) has opened. */
  accept(socket: Duplex, from: MemberId): void {
    socket.on('error', () => socket.destroy());
    if (this.#over !== null) return this.refuse(socket, this.#over);
    this.#incoming.add(socket);
    const timer = setTimeout(() => this.refuse(socket, 'no hello arrived'), HELLO_TIMEOUT_MS);
    let greeted = false;
    let batch: Message[] = [];
    const decoder = new FrameDecoder(FRAME_LIMITS.raft, (frame) => {
      if (greeted) {
        if (frame.type === PING_FRAME) return void socket.write(PONG);
        const message = decodeMessage(frame, from, this.#options.self);
        if (message !== null) batch.push(message);
        return;
      }
      this.#greet(frame, from);
      greeted = true;
      clearTimeout(timer);
    });
    const silent = setTimeout(() => socket.destroy(), UNANSWERED_MAX * this.#pingMs + HELLO_TIMEOUT_MS);
    silent.unref();
    socket.on('data', (chunk: Buffer) => {
      silent.refresh();
      try {
        decoder.push(chunk);
      } catch (error) {
        this.refuse(socket, asBeltError(error).message);
      }
      if (batch.length === 0) return;
      const messages = batch;
      batch = [];
      this.#options.onMessages(messages);
    });
    socket.once('close', () => {
      clearTimeout(timer);
      clearTimeout(silent);
      this.#incoming.delete(socket);
    });
  }

  /** The managers went on as `group` without this one: all who are connected, and all who come, are told and sent away. */
  outlived(group: string): void {
    this.#group = group;
    this.#over = `the managers went on as group ${group}`;
    this.setPeers([]);
    for (const socket of this.#incoming) this.refuse(socket, this.#over);
  }

  /** Says of which group this manager is and why it hangs up, and does. */
  refuse(socket: Duplex, why: string): void {
    this.#incoming.delete(socket);
    if (socket.destroyed || socket.writableEnded) return;
    socket.end(Buffer.concat([encodeFrame(GROUP_FRAME, this.#group), encodeFrame(REFUSED_FRAME, why.slice(0, 1_000))]));
    socket.removeAllListeners('data');
    socket.resume();
  }

  close(): void {
    this.#over ??= 'this manager takes no part';
    this.setPeers([]);
    for (const socket of this.#incoming) socket.destroy();
  }

  #greet({ type, payload }: Frame, from: MemberId): void {
    if (type !== HELLO_FRAME) throw new BeltError('bad_request', 'the connection does not begin with a hello');
    const hello = JSON.parse(payload.toString()) as Partial<Hello>;
    const { self, onOtherGroup } = this.#options;
    const group = this.#group;
    if (hello.from !== from) throw new BeltError('forbidden', `the hello of ${String(hello.from)} came with the certificate of ${from}`);
    if (hello.to !== self) throw new BeltError('bad_request', `this is ${self}, not ${String(hello.to)}`);
    if (hello.group !== group) onOtherGroup?.(String(hello.group));
    if (hello.group !== group) throw new BeltError('bad_request', `this manager is of group ${group}, not ${String(hello.group)}`);
  }
}

/** The connection to one manager: dialed again and again until it is closed. */
class Link {
  readonly peer: Peer;
  readonly #options: PeerLinksOptions;
  readonly #queueBytesMax: number;
  #socket: Duplex | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #openedAt = 0;
  #closed = false;
  /** Entries and snapshots that wait for the socket to drain. */
  #queue: Buffer[] = [];
  #queueBytes = 0;

  constructor(peer: Peer, options: PeerLinksOptions) {
    this.peer = peer;
    this.#options = options;
    this.#queueBytesMax = options.queueBytesMax ?? 16 * 1024 * 1024;
    this.#connect();
  }

  send(messages: readonly Message[]): void {
    const socket = this.#socket;
    if (socket === null) return;
    if (socket.writableLength < SOCKET_BYTES_MAX && this.#queue.length === 0) {
      socket.write(encodeMessages(messages));
      return;
    }
    const urgent = messages.filter((message) => !isBulk(message));
    // Beyond this the way is blocked altogether, and a message that waits would only be stale.
    if (urgent.length > 0 && socket.writableLength < 2 * SOCKET_BYTES_MAX) socket.write(encodeMessages(urgent));
    for (const message of messages) if (isBulk(message)) this.#enqueue(encodeMessages([message]));
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#socket = null;
  }

  #enqueue(frames: Buffer): void {
    this.#queue.push(frames);
    this.#queueBytes += frames.length;
    while (this.#queueBytes > this.#queueBytesMax) this.#queueBytes -= this.#queue.shift()!.length;
  }

  #drain(): void {
    const socket = this.#socket;
    while (socket !== null && this.#queue.length > 0 && socket.writableLength < SOCKET_BYTES_MAX) {
      const frames = this.#queue.shift()!;
      this.#queueBytes -= frames.length;
      socket.write(frames);
    }
  }

  #connect(): void {
    this.#timer = null;
    this.#options.dial(this.peer).then(
      (socket) => (this.#closed ? void socket.destroy() : this.#opened(socket)),
      (error: unknown) => this.#lost(asBeltError(error, 'unreachable')),
    );
  }

  #opened(socket: Duplex): void {
    const { self, group, onLink, onOtherGroup } = this.#options;
    let why = new BeltError('unreachable', `the connection to ${this.peer.id} (${this.peer.address}) was lost`, { machine: this.peer.id });
    let unanswered = 0;
    const decoder = new FrameDecoder(FRAME_LIMITS.join, ({ type, payload }) => {
      if (type === PONG_FRAME) unanswered = 0;
      if (type === GROUP_FRAME && payload.toString() !== group) onOtherGroup?.(payload.toString());
      if (type === REFUSED_FRAME) why = new BeltError('unreachable', `${this.peer.id} refuses the connection: ${payload.toString().slice(0, 1_000)}`, { machine: this.peer.id });
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        decoder.push(chunk);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('drain', () => this.#drain());
    socket.once('end', () => socket.destroy());
    const pings = setInterval(() => {
      if (unanswered++ < UNANSWERED_MAX) return void socket.write(PING);
      why = new BeltError('unreachable', `${this.peer.id} (${this.peer.address}) does not answer`, { machine: this.peer.id });
      socket.destroy();
    }, this.#options.pingMs ?? 1_000);
    pings.unref();
    socket.once('close', () => {
      clearInterval(pings);
      this.#socket = null;
      // A connection that held was a success; one that is refused at once is not, however often it is opened.
      if (performance.now() - this.#openedAt > BACKOFF.last) this.#failures = 0;
      this.#lost(why);
    });
    const hello: Hello = { group, from: self, to: this.peer.id };
    socket.write(encodeFrame(HELLO_FRAME, JSON.stringify(hello)));
    this.#socket = socket;
    this.#openedAt = performance.now();
    onLink?.(this.peer, null);
  }

  #lost(error: BeltError): void {
    this.#queue = [];
    this.#queueBytes = 0;
    if (this.#closed) return;
    this.#options.onLink?.(this.peer, error);
    const pause = Math.min(BACKOFF.last, BACKOFF.first * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.#connect(), pause * (0.5 + this.#options.random() / 2));
    this.#timer.unref();
  }
}
