/**
 * Machines made of containers: each boots systemd and sshd and has room for a Docker Engine of its own, so that a real swarm stands on one
 * Linux box. What exists is what the engine of the host says; a machine is found by its labels.
 */
import Docker from 'dockerode';

import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineType, PowerAction, Problem } from '../../src/provision/driver.ts';
import { allocate } from './addresses.ts';
import { asDriverError, hasStatus, sentence } from './engine-errors.ts';
import { ensureImage } from './image.ts';
import { clusterFilter, containerName, containerSpec, DEFAULT_IMAGE, type HostFacts, LABEL, limits, placeOf, type Placement, toMachine, TYPES } from './machine.ts';
import { ensureNetwork, removeEmptyNetworks } from './network.ts';
import { type DockerOptions, socketPath } from './options.ts';
import { act } from './power.ts';
import { validateHost } from './validate.ts';
import { unordered } from './window.ts';

/** Containers made, started, stopped or inspected at once: more only queue up inside the engine. */
const AT_ONCE = 8;

/** The engine's client for these options. Throws `config` where the engine is not a local one. */
export function connect(options: DockerOptions, env: Readonly<Record<string, string | undefined>> = process.env): Docker {
  const path = socketPath(options, env);
  if (path === null) throw new BeltError('config', `DOCKER_HOST is '${env['DOCKER_HOST']}'; the docker driver needs a local socket`, { next: 'unset DOCKER_HOST, or set docker.host to unix:///…' });
  return new Docker({ socketPath: path });
}

async function hostFacts(docker: Docker): Promise<HostFacts> {
  const info = (await docker.info()) as { MemoryLimit: boolean; CpuCfsQuota: boolean; NCPU: number; CgroupVersion?: string };
  return { memoryLimit: info.MemoryLimit, cpuQuota: info.CpuCfsQuota, cpus: info.NCPU, cgroupVersion: info.CgroupVersion === '2' ? 2 : 1 };
}

class DockerDriver implements Driver {
  readonly name = 'docker';
  readonly abilities = { userData: false, resize: true, pause: true, destroys: true } as const;
  readonly #options: DockerOptions;
  readonly #env: Readonly<Record<string, string | undefined>>;
  #client: Docker | undefined;

  constructor(options: DockerOptions, env: Readonly<Record<string, string | undefined>>) {
    this.#options = options;
    this.#env = env;
  }

  get #docker(): Docker {
    this.#client ??= connect(this.#options, this.#env);
    return this.#client;
  }

  validate(signal: AbortSignal): Promise<Problem[]> {
    return validateHost(this.#options, this.#env, signal);
  }

  types(): Promise<MachineType[]> {
    return Promise.resolve([...TYPES]);
  }

  async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
    const type = typeNamed(order.type);
    if (order.image !== null && order.image !== DEFAULT_IMAGE) {
      throw new BeltError('driver', `the docker driver has one image, '${DEFAULT_IMAGE}', not '${order.image}'`, { next: `leave the image out or name ${DEFAULT_IMAGE}` });
    }
    const jobs = await this.#plan(order, type, signal);
    yield* unordered(jobs, AT_ONCE, (job) => this.#make(order, job.placement, job.host, signal), signal);
  }

  /** Everything that is settled before the first container: image, network, an address for each machine. */
  async #plan(order: CreateOrder, type: MachineType, signal: AbortSignal): Promise<{ placement: Placement; host: HostFacts }[]> {
    try {
      const host = await hostFacts(this.#docker);
      const imageTag = await ensureImage(this.#docker, this.#options, signal);
      const network = await ensureNetwork(this.#docker, order, this.#options.subnet);
      const present = await this.#docker.listContainers({ all: true, filters: clusterFilter(order) });
      const addressOf = new Map(present.map((container) => [container.Labels[LABEL.name], placeOf(container.Labels).address]));
      const fresh = order.machines.filter((machine) => !addressOf.has(machine.name));
      const addresses = allocate(network.subnet, present.map((container) => placeOf(container.Labels)), fresh.map((machine) => machine.region));
      fresh.forEach((machine, index) => addressOf.set(machine.name, addresses[index] ?? ''));
      return order.machines.map((machine) => (
        { host, placement: { machine, address: addressOf.get(machine.name) ?? '', type, imageTag, network: network.name } }
      ));
    } catch (error) {
      throw asDriverError(error, 'the machines cannot be prepared');
    }
  }

  /** One machine: made unless it is there, started, read back. What cannot start is removed again. */
  async #make(order: CreateOrder, placement: Placement, host: HostFacts, signal: AbortSignal): Promise<Created> {
    const { name } = placement.machine;
    try {
      signal.throwIfAborted();
      await this.#docker.createContainer(containerSpec(order, placement, host)).catch((error: unknown) => {
        if (!hasStatus(error, 409)) throw error;
      });
      const container = this.#docker.getContainer(containerName(order, name));
      const info = await container.inspect();
      if (info.Config.Labels[LABEL.order] !== order.id) {
        throw new BeltError('driver', `a machine named '${name}' is there already`, { machine: name, next: `belt rm ${name}, or choose another name` });
      }
      if (info.State.Status !== 'created') return toMachine(info);
      try {
        await container.start();
      } catch (error) {
        await container.remove({ force: true, v: true }).catch(() => undefined);
        throw error;
      }
      return toMachine(await container.inspect());
    } catch (error) {
      return { failed: name, error: asDriverError(error, `machine ${name} was not made`, name) };
    }
  }

  async list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
    try {
      const containers = await this.#docker.listContainers({ all: true, filters: clusterFilter(cluster) });
      const machines: Machine[] = [];
      for await (const machine of unordered(containers, AT_ONCE, (container) => this.#read(container.Id), signal)) {
        if (machine !== null) machines.push(machine);
      }
      return machines;
    } catch (error) {
      throw asDriverError(error, 'the machines cannot be listed');
    }
  }

  /** The machine of a container, null when it went away between the list and now. */
  async #read(id: string): Promise<Machine | null> {
    try {
      const info = await this.#docker.getContainer(id).inspect();
      return info.State.Status === 'removing' ? null : toMachine(info);
    } catch (error) {
      if (hasStatus(error, 404)) return null;
      throw error;
    }
  }

  power(ids: readonly string[], action: PowerAction, signal: AbortSignal): Promise<Outcome[]> {
    return this.#each(ids, signal, `machine cannot ${action}`, async (container, id) => {
      const info = await container.inspect().catch((error: unknown) => {
        throw hasStatus(error, 404) ? new BeltError('driver', `no machine has the id '${id}'`) : error;
      });
      return act(container, info.State, action);
    });
  }

  resize(ids: readonly string[], type: string, signal: AbortSignal): Promise<Outcome[]> {
    const wanted = typeNamed(type);
    return this.#each(ids, signal, 'machine cannot be resized', async (container) => {
      const info = await container.inspect();
      if (toMachine(info).size === wanted.name) return `already ${wanted.name}`;
      await container.update(limits(wanted, await hostFacts(this.#docker)));
      return undefined;
    });
  }

  async destroy(ids: readonly string[], signal: AbortSignal): Promise<Outcome[]> {
    const clusters = new Set<string>();
    const outcomes = await this.#each(ids, signal, 'machine cannot be removed', (container) => destroyOne(container, clusters));
    try {
      await removeEmptyNetworks(this.#docker, clusters);
    } catch (error) {
      throw asDriverError(error, 'the machines are gone, their network is not');
    }
    return outcomes;
  }

  /** Runs `work` for each id, a few at once; what it returns is the note of the outcome. Outcomes come in the order of the ids. */
  async #each(
    ids: readonly string[], signal: AbortSignal, what: string, work: (container: Docker.Container, id: string) => Promise<string | undefined>,
  ): Promise<Outcome[]> {
    const outcomes = new Map<string, Outcome>();
    const one = async (id: string): Promise<Outcome> => {
      try {
        const note = await work(this.#docker.getContainer(id), id);
        return { name: id, ok: true, value: undefined, ...(note === undefined ? {} : { note }) };
      } catch (error) {
        return { name: id, ok: false, error: asDriverError(error, what) };
      }
    };
    for await (const outcome of unordered(ids, AT_ONCE, one, signal)) outcomes.set(outcome.name, outcome);
    return ids.flatMap((id) => outcomes.get(id) ?? []);
  }
}

function typeNamed(name: string): MachineType {
  const type = TYPES.find((candidate) => candidate.name === name);
  if (type === undefined) throw new BeltError('driver', `the docker driver has no size '${name}'`, { next: `one of ${TYPES.map((one) => one.name).join(', ')}` });
  return type;
}

async function destroyOne(container: Docker.Container, clusters: Set<string>): Promise<string | undefined> {
  try {
    const info = await container.inspect();
    const cluster = info.Config.Labels[LABEL.clusterId];
    // An id that is not a machine of ours is somebody else's container: never touched.
    if (cluster === undefined) throw new BeltError('driver', `container ${info.Name.slice(1)} is not a machine of belt`);
    clusters.add(cluster);
    await container.remove({ force: true, v: true });
    return undefined;
  } catch (error) {
    if (hasStatus(error, 404)) return 'already gone';
    if (!hasStatus(error, 409) || !/already in progress/.test(sentence(error))) throw error;
    await container.wait({ condition: 'removed' }).catch((gone: unknown) => {
      if (!hasStatus(gone, 404)) throw gone;
    });
    return 'already gone';
  }
}

/** A driver for the engine of this host. The environment is asked for DOCKER_HOST only. */
export function createDriver(options: DockerOptions, env: Readonly<Record<string, string | undefined>> = process.env): Driver {
  return new DockerDriver(options, env);
}
