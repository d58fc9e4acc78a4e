/**
 * `belt docker …`: the whole line, stdin, terminal, signals and exit code to docker on the active machine, or on those of `--host RANGE`. What lacks
 * an engine is bootstrapped first; a `swarm join` without a token and a `swarm init` without an address are completed, and said; a swarm made or
 * joined by hand is made known to the agents.
 */

import { BeltError } from '../../errors.ts';
import { readCurrent } from '../../inventory/home.ts';
import type { MachineRecord } from '../../inventory/state.ts';
import { runAll } from '../../provision/run-all.ts';
import type { SshConnection } from '../../ssh/client.ts';
import { readLines } from '../../ssh/lines.ts';
import { runOnTerminal } from '../../ssh/terminal.ts';
import { hostOf, missingAdvertise, readSwarmLine, remoteDocker, type SwarmLine, withFlag } from '../../swarm/docker-line.ts';
import { initSwarm } from '../../swarm/form.ts';
import { joinMachines } from '../../swarm/join.ts';
import { needBootstrapped } from '../../swarm/operations.ts';
import { failureLines } from '../../ui/error-text.ts';
import { defineCommand } from '../command.ts';
import type { ClusterView, Context } from '../context.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { combinedExit, exitCodeOf, UNREACHABLE } from '../remote-exit.ts';
import { FIRST_BOOT_MS, RemoteAccess } from '../remote.ts';
import { agentBook, withHands } from '../swarm-access.ts';

export const command = defineCommand({
  positionals: {},
  options: {},
  examples: ['belt docker ps', "belt --host 'node[1:4]' docker pull nginx", 'belt docker service create --name web --replicas 4 -p 80:80 nginx'],
  async run(ctx, args) {
    const cluster = ctx.cluster();
    const machines = await requireMachines(ctx, cluster, chosen(ctx, cluster));
    const without = machines.find((machine) => machine.driver === 'local');
    if (without !== undefined) throw new BeltError('no_engine', `no engine is installed on ${without.name}: machines of the driver local share this host`, { machine: without.name, next: 'belt create -d docker makes machines with an engine of their own' });
    await bootstrapWhatLacks(ctx, machines);
    const line = new DockerLine(ctx, cluster, args.rest, machines);
    return machines.length === 1 ? line.onOne() : line.onMany();
  },
});

/** The machines of `--host`, else the active one. */
function chosen(ctx: Context, cluster: ClusterView): string[] {
  if (ctx.flags.host !== undefined) return readRanges(ctx, [ctx.flags.host]);
  const active = ctx.ports.env['BELT_HOST'] || readCurrent(ctx.home).active[cluster.name];
  if (active === undefined) throw new BeltError('failed', `no machine of cluster ${cluster.name} is active`, { next: 'belt active NAME, or belt --host RANGE docker …' });
  return [active];
}

/** Machines that have no docker command get agent and engine first, with progress. */
async function bootstrapWhatLacks(ctx: Context, machines: readonly MachineRecord[]): Promise<void> {
  const cluster = ctx.cluster();
  const access = new RemoteAccess(ctx, cluster);
  const met = new Set(agentBook(cluster.files).bootstrapped);
  const looked = await runAll(machines, async (machine, signal) => {
    // A machine that was just made may boot for longer than the line itself would wait, and would then be met without an engine.
    await using connection = await access.connect(machine, signal, met.has(machine.name) ? undefined : FIRST_BOOT_MS);
    return (await connection.exec('command -v docker', { signal })).code === 0;
  }, { limit: 50, signal: ctx.signal, nameOf: ({ name }) => name });
  await access.pinNewKeys();
  const lacking = machines.filter((_, index) => { const one = looked[index]; return one?.ok === true && !one.value; });
  if (lacking.length === 0) return;
  ctx.ui.note(`${lacking.map(({ name }) => name).join(', ')}: no engine yet, bootstrap comes first`);
  await withHands(ctx, (hands) => ctx.ui.progress('bootstrap', lacking.length, (report) => needBootstrapped(hands, lacking, report)));
}

class DockerLine {
  readonly #ctx: Context;
  readonly #words: readonly string[];
  readonly #machines: readonly MachineRecord[];
  readonly #access: RemoteAccess;
  readonly #swarm: SwarmLine | null;

  constructor(ctx: Context, cluster: ClusterView, words: readonly string[], machines: readonly MachineRecord[]) {
    this.#ctx = ctx;
    this.#words = words;
    this.#machines = machines;
    this.#access = new RemoteAccess(ctx, cluster);
    this.#swarm = readSwarmLine(words);
  }

  /** On one machine: the operator's own terminal and streams. */
  async onOne(): Promise<number> {
    const { signal } = this.#ctx;
    const [machine] = this.#machines as [MachineRecord];
    try {
      const token = await this.#missingToken();
      await using connection = await this.#access.connect(machine, signal);
      const code = token === null ? await this.#pass(connection, machine) : await this.#collect(connection, machine, token, '');
      if (code === 0) await this.#adopt([machine]);
      return code;
    } catch (error) {
      signal.throwIfAborted();
      this.#ctx.ui.error(error);
      return UNREACHABLE;
    }
  }

  /** On several: nothing on stdin, each line of output after the machine's name. */
  async onMany(): Promise<number> {
    const { ui, signal } = this.#ctx;
    const token = await this.#missingToken();
    const width = Math.max(...this.#machines.map(({ name }) => name.length));
    const outcomes = await runAll(this.#machines, async (machine, stop) => {
      await using connection = await this.#access.connect(machine, stop);
      return await this.#collect(connection, machine, token, `${machine.name.padEnd(width)}  `);
    }, { limit: 50, signal, nameOf: ({ name }) => name });
    signal.throwIfAborted();
    const unreached = outcomes.filter((outcome) => !outcome.ok);
    if (unreached.length > 0) ui.note([`belt: ${unreached.length} of ${outcomes.length} machines were not reached:`, ...failureLines(outcomes)].join('\n'));
    await this.#adopt(this.#machines.filter((_, index) => { const one = outcomes[index]; return one?.ok === true && one.value === 0; }));
    return combinedExit(outcomes.map((outcome) => (outcome.ok ? outcome.value : null)));
  }

  #pass(connection: SshConnection, machine: MachineRecord): Promise<number> {
    const { env } = this.#ctx.ports;
    const streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
    return runOnTerminal(connection, this.#text(machine, false), streams, { pty: 'auto', term: env['TERM'], signal: this.#ctx.signal }).then(exitCodeOf);
  }

  async #collect(connection: SshConnection, machine: MachineRecord, token: string | null, prefix: string): Promise<number> {
    const stream = await connection.stream(this.#text(machine, token !== null), { signal: this.#ctx.signal });
    if (token === null) stream.stdin.end();
    else stream.stdin.end(`${token}\n`);
    const pass = async (from: typeof stream.stdout, to: 'stdout' | 'stderr'): Promise<void> => {
      for await (const text of readLines(from)) this.#ctx.ui.raw(to, `${prefix}${text}\n`);
    };
    const [status] = await Promise.all([stream.exit, pass(stream.stdout, 'stdout'), pass(stream.stderr, 'stderr')]);
    return exitCodeOf(status);
  }

  /** The line as the machine's shell gets it, completed where docker would refuse it. */
  #text(machine: MachineRecord, token: boolean): string {
    const sudo = machine.sshUser !== 'root';
    if (this.#swarm === null) return remoteDocker(this.#words, { sudo });
    const advertise = missingAdvertise(this.#swarm, machine);
    if (advertise !== null) this.#ctx.ui.note(`belt: ${machine.name} has several addresses; completed with --advertise-addr ${advertise}`);
    const words = advertise === null ? this.#words : withFlag(this.#words, this.#swarm, '--advertise-addr', advertise);
    return remoteDocker(words, { sudo, ...(token ? { tokenAt: this.#swarm.at } : {}) });
  }

  /** The worker's token of the manager that a `swarm join` without one names; null where none is missing or the manager is not ours. */
  async #missingToken(): Promise<string | null> {
    const line = this.#swarm;
    if (line?.verb !== 'join' || line.flags.has('--token') || line.manager === null) return null;
    const host = hostOf(line.manager);
    const manager = Object.values(this.#ctx.cluster().state.machines).find(({ name, publicIpv4, privateIpv4 }) => [name, publicIpv4, privateIpv4].includes(host));
    if (manager === undefined) throw new BeltError('usage', `the line has no --token, and ${host} is no machine of this cluster to ask for one`, { next: 'belt docker swarm join-token worker on a manager shows it' });
    await using connection = await this.#access.connect(manager, this.#ctx.signal);
    const said = await connection.exec(remoteDocker(['swarm', 'join-token', '-q', 'worker'], { sudo: manager.sshUser !== 'root' }), { signal: this.#ctx.signal });
    if (said.code !== 0) throw new BeltError('engine', `${manager.name} gives no join token: ${said.stderr.trim()}`, { machine: manager.name, next: `belt --host ${manager.name} docker swarm init` });
    this.#ctx.ui.note(`belt: completed with the worker's join token of ${manager.name}`);
    return said.stdout.trim();
  }

  /** A swarm made or joined by hand: the agents follow, and adopt what role Docker has given. */
  async #adopt(machines: readonly MachineRecord[]): Promise<void> {
    const verb = this.#swarm?.verb;
    const [first] = machines;
    if (first === undefined || (verb !== 'init' && verb !== 'join')) return;
    await withHands(this.#ctx, (hands) => this.#ctx.ui.progress('agents', machines.length, async (report) => {
      const { voters, reachable } = await hands.swarm.survey();
      if (verb === 'init' && voters.length === 0) return void (await initSwarm(hands, first, report));
      if (verb === 'init' || voters.length === 0) return this.#ctx.ui.warn('the agents form another swarm than this line; belt swarm status shows theirs');
      const { token } = await hands.swarm.cluster('token.show', { role: 'worker' });
      const managers = voters.filter(({ name }) => reachable.includes(name)).map(({ address }) => address);
      const joined = await joinMachines(hands, { machines, role: 'worker', managers, token }, report);
      for (const outcome of joined) if (!outcome.ok) this.#ctx.ui.warn(`${outcome.name}: the agent did not follow: ${outcome.error.message}`);
    }));
  }
}
