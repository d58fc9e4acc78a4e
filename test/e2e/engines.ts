/** Machines with Docker Engine inside, and their sockets brought to this host, for suites that drive engines without belt's own bootstrap. */
import { createServer, connect as dial, type Server } from 'node:net';
import path from 'node:path';

import type { Machine } from '../../src/provision/driver.ts';
import { type Said, until } from './stage.ts';

type Ssh = (address: string, command: string, timeoutMs?: number) => Promise<Said>;

/** Engine inside a machine, by the machine's own package manager; its API on port 2375 of the machine for the test, beside its socket. */
const INSTALL = [
  'set -e',
  'mkdir -p /etc/systemd/system/docker.service.d',
  "printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2375\\n' > /etc/systemd/system/docker.service.d/test.conf",
  'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io >/dev/null 2>&1',
  'docker version --format "{{.Server.Version}}"',
].join('\n');

/** A socket on this host for the engine of each machine. */
export class Sockets {
  readonly #servers: Server[] = [];

  async open(folder: string, machine: Machine): Promise<string> {
    const socketPath = path.join(folder, `${machine.name}.sock`);
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const engine = dial({ host: machine.publicIpv4!, port: 2375, allowHalfOpen: true });
      socket.on('error', () => engine.destroy());
      engine.on('error', () => socket.destroy());
      socket.pipe(engine).pipe(socket);
      socket.once('close', () => engine.destroy());
      engine.once('close', () => socket.destroy());
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    return socketPath;
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }
}

/** Docker Engine on every machine, a few at once. */
export async function installEngines(machines: readonly Machine[], ssh: Ssh): Promise<void> {
  const todo = [...machines];
  const worker = async (): Promise<void> => {
    for (let machine = todo.shift(); machine !== undefined; machine = todo.shift()) {
      const address = machine.publicIpv4!;
      await until(`ssh on ${machine.name}`, 60_000, async () => (await ssh(address, 'systemctl is-active --quiet dbus')).code === 0);
      const said = await ssh(address, INSTALL, 240_000);
      if (said.code !== 0) throw new Error(`${machine.name}: ${said.stdout} ${said.stderr}`);
    }
  };
  await Promise.all([worker(), worker(), worker()]);
}
