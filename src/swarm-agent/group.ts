/** The manager's Raft member as the daemon runs it: `member/` on a real folder, over the agents' own TLS. */
import type { X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { signedByOne } from '../certs/identity.ts';
import { BeltError, asBeltError } from '../errors.ts';
import { finishAnew, leftBehind, readEpochs, writeEpochs } from './epoch.ts';
import type { GroupOptions, ReformGroup, RunningGroup } from './group-port.ts';
import { NodeDisk } from './log/node-disk.ts';
import { RaftLog } from './log/raft-log.ts';
import { SnapshotStore } from './log/snapshots.ts';
import { Member } from './member/member.ts';
import type { Network } from './member/ports.ts';
import type { Clock, Random } from './ports.ts';
import { decodeMembership, encodeMembership } from './raft/membership.ts';
import type { Membership, Message } from './raft/types.ts';
import { dial } from './transport/dial.ts';
import type { Identify, PeerIdentity } from './transport/identity.ts';
import { PeerLinks } from './transport/peer-links.ts';

/** Milliseconds between the connections that are made anew after a renewal: never all at once. */
const RENEW_STEP_MS = 200;

/** Starts members. Throws what `Member` throws: `log_corrupt`, `disk`, `state_newer`. */
export function groupStarter(clock: Clock, random: Random): (options: GroupOptions) => Promise<RunningGroup> {
  return (options) => Promise.resolve(start(options, clock, random));
}

function start(options: GroupOptions, clock: Clock, random: Random): RunningGroup {
  finishAnew(options.folder);
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const { epoch, newer } = readEpochs(options.folder);
  let newerEpoch = newer;
  /** Why there is no newer snapshot than that one. */
  let unsaved: { readonly message: string; readonly index: number } | null = null;
  const outlived = (seen: number): void => {
    if (seen <= Math.max(epoch, newerEpoch ?? 0)) return;
    newerEpoch = seen;
    stopFor(seen);
    try {
      writeEpochs(options.folder, { epoch, newer: seen });
    } catch (error) {
      options.log(`raft: ${asBeltError(error).message}`);
    }
  };
  const net = network(options, epoch, clock, random, outlived);
  const disk = new NodeDisk(join(options.folder, 'log'));
  const alone: Membership = { members: [{ id: options.id, voter: true, address: options.address }] };
  const member = new Member({
    id: options.id, epoch, disk, clock, random, network: net.connect, config: options.limits, ...(options.founding ? { founding: alone } : {}),
    events: {
      onRole: ({ role, term, leader }) => {
        options.log(`raft: ${role} in term ${term}, leader ${leader ?? 'unknown'}`);
        options.onChange();
      },
      onApplied: options.onChange, onRestored: options.onChange, onMembership: options.onChange,
      onFailed: options.onFailure,
      onSnapshotFailed: ({ message }) => {
        if (unsaved?.message !== message) options.log(`raft: no snapshot: ${message}`);
        unsaved = { message, index: member.status().snapshotIndex };
      },
    },
  });
  /** The others of the group are told too: they may not see who went on. */
  const stopFor = (seen: number): void => {
    net.outlived(seen);
    member.abandon(leftBehind(epoch, seen));
  };
  if (newer !== null) stopFor(newer);
  return {
    id: options.id, epoch, outlived, turnAway: net.turnAway,
    get newerEpoch() {
      return newerEpoch;
    },
    get state() {
      return member.state;
    },
    status: () => member.status(),
    disk: () => member.disk(),
    write: (id, change, first) => member.write(id, change, first),
    hash: () => member.hash(),
    problem: () => (unsaved === null || member.status().snapshotIndex > unsaved.index ? null : `no snapshot can be written, and the log grows: ${unsaved.message}`),
    read: () => member.read(),
    change: (change) => member.change(change),
    transfer: (target) => member.transfer(target),
    accept: net.accept,
    renewed: net.renewed,
    cut: net.cut,
    stop: async () => {
      await member.stop();
      disk.close();
    },
  };
}

interface MemberNetwork {
  readonly connect: (receive: (messages: readonly Message[]) => void) => Network;
  readonly accept: (socket: TLSSocket, peer: PeerIdentity) => void;
  readonly renewed: () => void;
  readonly cut: (revoked: ReadonlySet<string>) => void;
  readonly outlived: (epoch: number) => void;
  readonly turnAway: (socket: TLSSocket, why: string) => void;
}

/** The links to the other managers: dialed with the certificate in force, never used longer than either certificate lasts. */
function network(options: GroupOptions, epoch: number, clock: Clock, random: Random, onEpoch: (epoch: number) => void): MemberNetwork {
  const dialed = new Set<TLSSocket>();
  const said = new Map<string, string>();
  const accepted = new Map<TLSSocket, { readonly serial: string; readonly certificate: X509Certificate }>();
  let links: PeerLinks | null = null;
  const bound = (socket: TLSSocket, expires: number): void => {
    const cancel = clock.after(expires - clock.now(), () => socket.destroy());
    socket.once('close', cancel);
  };
  const groupOf = (of: number): string => `${options.cluster}/${of}`;
  const connect: MemberNetwork['connect'] = (receive) => {
    const open = new PeerLinks({
      self: options.id, group: groupOf(epoch), random, onMessages: receive,
      onOtherGroup: (group) => {
        const other = Number(group.slice(options.cluster.length + 1));
        if (Number.isSafeInteger(other) && group === groupOf(other)) onEpoch(other);
      },
      onLink: ({ id, address }, error) => {
        const line = error === null ? `raft: connected to ${id} (${address})` : `raft: ${error.message}`;
        // A manager that is off is dialed every second: once said is enough.
        if (said.get(id) !== line) options.log(line);
        said.set(id, line);
      },
      dial: async ({ id, address }) => {
        let expires = 0;
        // A client's socket gives its peer's certificate only once (Node 24), and that is when it is judged.
        const identify: Identify = (certificate) => {
          expires = certificate.validToDate.getTime();
          return options.identify(certificate);
        };
        const { socket } = await dial({ address, protocol: 'raft', credentials: options.credentials(), identify, expect: id });
        dialed.add(socket);
        socket.once('close', () => dialed.delete(socket));
        bound(socket, expires);
        return socket;
      },
    });
    links = open;
    return { send: (messages) => open.send(messages), setPeers: (members) => open.setPeers(members.length > 0 ? members : options.managers()), close: () => open.close() };
  };
  return {
    connect,
    accept: (socket, peer) => {
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return void socket.destroy();
      bound(socket, certificate.validToDate.getTime());
      accepted.set(socket, { serial: peer.serial, certificate });
      socket.once('close', () => accepted.delete(socket));
      if (links === null) socket.destroy();
      else links.accept(socket, peer.name);
    },
    cut: (revoked) => {
      for (const [socket, { serial }] of accepted) if (revoked.has(serial)) socket.destroy();
    },
    outlived: (newer) => links?.outlived(groupOf(newer)),
    turnAway: (socket, why) => (links === null ? void socket.destroy() : links.refuse(socket, why)),
    renewed: () => {
      // Of a root that was replaced, perhaps because somebody else has its key: TLS's own verdict is as old as the handshake.
      const roots = options.credentials().ca;
      for (const [socket, { certificate }] of accepted) if (!signedByOne(certificate, roots)) socket.destroy();
      let wait = 0;
      for (const socket of dialed) clock.after((wait += RENEW_STEP_MS), () => socket.destroy());
    },
  };
}

/**
 * Reforms the group on a stopped member's disk. The epoch is raised first: from then on this member and those it left do not talk, whatever
 * happens. Then the log is given a last entry with the new membership, which is in force as soon as it is there (thesis, 4.1), so the member is
 * elected by itself and commits all its log holds: what was acknowledged, and perhaps what was under way.
 */
export const reformGroup: ReformGroup = async ({ folder, id, address, epoch }) => {
  const { epoch: known, newer } = readEpochs(folder);
  const taken = newer ?? known;
  // A newer epoch that it has heard of is another group's.
  if (known !== epoch && taken >= epoch) throw new BeltError('refused', `this manager knows of epoch ${taken}, and ${epoch} is past`, { next: 'belt swarm rebuild' });
  if (known < epoch) writeEpochs(folder, { epoch, newer: null });
  const disk = new NodeDisk(join(folder, 'log'));
  try {
    await appendMembership(disk, { members: [{ id, voter: true, address }] });
  } finally {
    disk.close();
  }
};

async function appendMembership(disk: NodeDisk, wanted: Membership): Promise<void> {
  const done = Promise.withResolvers<void>();
  const { log, vote, entries, reset } = RaftLog.open({ disk, onDurable: () => done.resolve(), onFailed: (error) => done.reject(error) });
  const { newest } = new SnapshotStore(disk);
  try {
    const last = [entries.at(-1), newest, reset].reduce<{ index: number; term: number }>((a, b) => (b != null && b.index > a.index ? b : a), { index: 0, term: 0 });
    const current = entries.findLast(({ kind }) => kind === 'membership');
    const membership = current === undefined ? newest?.membership : decodeMembership(current.data);
    if (membership !== undefined && JSON.stringify(membership) === JSON.stringify(wanted)) return;
    const term = Math.max(vote.term, last.term) + 1;
    log.append({ seq: 0, vote: { term, votedFor: null }, reset: null, entries: [{ index: last.index + 1, term, kind: 'membership', data: encodeMembership(wanted) }] });
    await done.promise;
  } catch (error) {
    throw asBeltError(error, 'disk');
  } finally {
    log.close();
  }
}
