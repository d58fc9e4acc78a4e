/** A driver whose cloud is a Map: stateful, one list a call, with faults on demand. Its cloud outlives the driver, as clouds outlive runs of belt. */
import { BeltError, type Outcome } from '../../src/errors.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, MachineStatus, MachineType, PowerAction } from '../../src/provision/driver.ts';

export interface CloudMachine extends Machine {
  readonly clusterId: string;
  readonly orderId: string;
}

export class MemoryCloud {
  readonly machines = new Map<string, CloudMachine>();
  readonly calls: string[] = [];
  /** Names the cloud has no capacity for. */
  readonly refused = new Set<string>();
  /** Lists still to fail. */
  failingLists = 0;
  /** Machines come up at the second list. */
  bootsSlowly = false;
  /** Throws after that many machines of a create, made but not told. */
  dieAfter = Infinity;
  /** What another belt does before the next list is made, and between it and what is done about it; once each. */
  beforeList: (() => Promise<unknown>) | undefined;
  afterList: (() => Promise<unknown>) | undefined;
  #nextId = 1;

  add(fields: Partial<CloudMachine> & { name: string; clusterId: string }): CloudMachine {
    const id = `m-${this.#nextId++}`;
    const machine: CloudMachine = {
      driver: 'local', id, status: this.bootsSlowly ? 'new' : 'active', publicIpv4: `127.9.0.${this.#nextId}`, privateIpv4: null, sshPort: 2222, sshUser: 'root', memoryMb: 512,
      region: 'a', datacenter: 'local:a', image: null, size: '512mb', createdAt: '2026-01-01T00:00:00.000Z', tags: {}, orderId: '', ...fields,
    };
    this.machines.set(id, machine);
    return machine;
  }

  set(id: string, status: MachineStatus): void {
    const machine = this.machines.get(id);
    if (machine !== undefined) this.machines.set(id, { ...machine, status });
  }

  names(): string[] {
    return [...this.machines.values()].map((machine) => machine.name).sort();
  }
}

const TYPES: readonly MachineType[] = [512, 1024, 8192, 16_384].map((memoryMb) => ({ name: `m${memoryMb}`, memoryMb, vcpus: 1, pricePerHour: memoryMb / 100_000, regions: null }));

export function memoryDriver(cloud: MemoryCloud, name = 'local', abilities: Partial<Driver['abilities']> = {}): Driver {
  const each = (ids: readonly string[], act: (machine: CloudMachine) => string | undefined): Promise<Outcome[]> =>
    Promise.resolve(ids.map((id): Outcome => {
      const machine = cloud.machines.get(id);
      if (machine === undefined) return { name: id, ok: false, error: new BeltError('driver', `no machine has the id ${id}`) };
      return { name: id, ok: true, value: undefined, note: act(machine) };
    }));
  return {
    name,
    abilities: { userData: false, resize: true, pause: true, destroys: true, ...abilities },
    validate: () => Promise.resolve([]),
    types: () => Promise.resolve([...TYPES]),
    async *create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created> {
      cloud.calls.push(`create ${order.machines.length}`);
      let made = 0;
      for (const { name: machineName, region } of order.machines) {
        signal.throwIfAborted();
        const known = [...cloud.machines.values()].find((machine) => machine.orderId === order.id && machine.name === machineName);
        if (known !== undefined) yield known;
        else if (cloud.refused.has(machineName)) yield { failed: machineName, error: new BeltError('driver_capacity', 'no capacity', { machine: machineName }) };
        else {
          const machine = cloud.add({ name: machineName, clusterId: order.clusterId, orderId: order.id, driver: name, region, datacenter: `${name}:${region}`, size: order.type, memoryMb: order.memoryMb });
          if (made >= cloud.dieAfter) throw new BeltError('driver_unavailable', 'the connection was reset');
          made += 1;
          yield machine;
        }
      }
    },
    async list(tag: ClusterTag): Promise<Machine[]> {
      const { beforeList, afterList } = cloud;
      cloud.beforeList = cloud.afterList = undefined;
      await beforeList?.();
      cloud.calls.push('list');
      if (cloud.failingLists > 0) {
        cloud.failingLists -= 1;
        throw new BeltError('driver_unavailable', 'the cloud is down');
      }
      const mine = [...cloud.machines.values()].filter((machine) => machine.clusterId === tag.clusterId && machine.driver === name);
      for (const machine of mine) if (machine.status === 'new') cloud.set(machine.id, 'active');
      await afterList?.();
      return mine.map(({ clusterId: _cluster, orderId: _order, ...machine }) => machine);
    },
    power: (ids: readonly string[], action: PowerAction) => {
      cloud.calls.push(`${action} ${ids.length}`);
      return each(ids, (machine) => {
        const status = action === 'start' || action === 'reboot' || action === 'unpause' ? 'active' : 'off';
        if (machine.status === status) return `is ${status} already`;
        cloud.set(machine.id, status);
        return undefined;
      });
    },
    resize: (ids: readonly string[], type: string) => each(ids, (machine) => void cloud.machines.set(machine.id, { ...machine, size: type })),
    destroy: (ids: readonly string[]) => {
      cloud.calls.push(`destroy ${ids.length}`);
      return Promise.resolve(ids.map((id): Outcome => ({ name: id, ok: true, value: undefined, note: cloud.machines.delete(id) ? undefined : 'already gone' })));
    },
  };
}
