/** Hosts on loopback that greet as SSH servers do, one address each; single connections can be dropped, delayed, or the host be down. */
import { createServer, type Server, type Socket } from 'node:net';

export interface FakeHosts {
  /** Addresses, all with the same port. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The next so many connections end without a greeting. */
  drop: number;
  /** The next so many greetings come this late, milliseconds. */
  late: { times: number; ms: number };
  /** Connections so far. */
  connections: number;
  /** The host no longer listens. */
  down(address: string): Promise<void>;
  close(): Promise<void>;
}

/** `net` is the second and third number of the addresses, so that two sets of hosts never meet. */
export async function startHosts(count: number, net: string): Promise<FakeHosts> {
  const servers = new Map<string, Server>();
  const sockets = new Set<Socket>();
  const greet = (socket: Socket): void => {
    sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
    hosts.connections += 1;
    if (hosts.drop > 0) {
      hosts.drop -= 1;
      return void socket.destroy();
    }
    const isLate = hosts.late.times-- > 0;
    setTimeout(() => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n'), isLate ? hosts.late.ms : 0);
  };
  let port = 0;
  for (let n = 1; n <= count; n += 1) {
    const address = `127.${net}.${n}`;
    const server = createServer(greet);
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
    port = (server.address() as { port: number }).port;
    servers.set(address, server);
  }
  const stop = (server: Server | undefined): Promise<void> => new Promise((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  const hosts: FakeHosts = {
    addresses: [...servers.keys()], port, drop: 0, late: { times: 0, ms: 0 }, connections: 0,
    async down(address) {
      await stop(servers.get(address));
      servers.delete(address);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      for (const server of servers.values()) await stop(server);
    },
  };
  return hosts;
}
