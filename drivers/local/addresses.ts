/**
 * Loopback addresses for machines. An address is held by a UDP socket bound to its SSH port for as long as the machine exists,
 * running or not: the kernel's own atomic lock, which other users, homes and network tools respect without agreeing on a file.
 * Each home starts at a place of its own in 127/8, so that two rarely meet at all.
 */
import { createHash } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { BeltError } from '../../src/errors.ts';

/** TCP ports an agent will want on the address beside SSH. */
const AGENT_PORTS = [2376, 2378];
/** Addresses one home looks through before it gives up: its own second octet. */
export const ADDRESSES_PER_HOME = 254 * 254;

/** The address a home tries at `index` (0 … {@link ADDRESSES_PER_HOME} - 1): 127.h.x.y, h of the home's digest, x and y in 1…254. */
export function candidateAddress(home: string, uid: number, index: number): string {
  const digest = createHash('sha256').update(`${uid}\0${home}`).digest();
  const second = 1 + ((digest[0] as number) % 254);
  return `127.${second}.${1 + Math.floor(index / 254)}.${1 + (index % 254)}`;
}

/** What keeps an address ours. */
export interface Reservation {
  readonly address: string;
  release(): Promise<void>;
}

/** Takes one address; undefined when somebody else has it. */
export async function reserveAddress(address: string, sshPort: number): Promise<Reservation | undefined> {
  const socket = createSocket({ type: 'udp4', exclusive: true } as never);
  socket.bind({ address, port: sshPort, exclusive: true });
  try {
    await once(socket, 'listening');
  } catch {
    return undefined;
  }
  socket.unref();
  return { address, release: () => closeUdp(socket) };
}

/** Takes the next free address of the home that is not in `taken`: reserved, and with the ports of SSH and the agent free. */
export async function takeAddress(home: string, uid: number, sshPort: number, taken: ReadonlySet<string>, from: number): Promise<Reservation & { readonly next: number }> {
  for (let step = 0; step < ADDRESSES_PER_HOME; step += 1) {
    const index = (from + step) % ADDRESSES_PER_HOME;
    const address = candidateAddress(home, uid, index);
    if (taken.has(address)) continue;
    const reservation = await reserveAddress(address, sshPort);
    if (reservation === undefined) continue;
    if (await portsFree(address, [sshPort, ...AGENT_PORTS])) return { ...reservation, next: index + 1 };
    await reservation.release();
  }
  throw new BeltError('driver_capacity', 'no loopback address is free for another machine', { next: 'remove machines: belt rm RANGE' });
}

async function portsFree(address: string, ports: readonly number[]): Promise<boolean> {
  for (const port of ports) {
    const probe = createServer();
    probe.listen({ host: address, port, exclusive: true });
    try {
      await once(probe, 'listening');
    } catch {
      return false;
    }
    probe.close();
    await once(probe, 'close');
  }
  return true;
}

async function closeUdp(socket: UdpSocket): Promise<void> {
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}
