/**
 * The `local` driver: machines that are folders and loopback addresses on this box, for the first minute and for tests. A thin
 * client of the host process, which plays the cloud.
 */
import * as v from 'valibot';
import { isBeltError, type Outcome } from '../../src/errors.ts';
import { withRetry, type RetryPolicy } from '../../src/provision/retry.ts';
import type { ClusterTag, Created, CreateOrder, Driver, Machine, PowerAction, Problem } from '../../src/provision/driver.ts';
import { askHost, type HostLocation } from './host-client.ts';
import { machineIds } from './machine-record.ts';
import { localHome, LocalOptions, MAX_HOME_BYTES } from './options.ts';
import { createdSchema, fromWire, machineSchema, outcomeSchema, type LocalRequest } from './protocol.ts';
import { LOCAL_TYPES, memoryMbOf } from './types.ts';

/** A host that went away is started anew by the next try; there is no far side to be patient with. */
const RETRY: RetryPolicy = { attempts: 3, baseMs: 50, capMs: 500, budgetMs: 2_000, downMs: 2_000 };

/** A driver on the machines of one home. Default: the user's own. */
export function createDriver(options: LocalOptions = v.parse(LocalOptions, {})): Driver {
  const location: HostLocation = { home: localHome(options, process.env), sshPort: options.ssh_port };
  const change = (request: LocalRequest, signal: AbortSignal): Promise<Outcome[]> => withRetry(() => outcomes(location, request, signal), signal, { policy: RETRY });
  return {
    name: 'local',
    abilities: { userData: false, resize: true, pause: true, destroys: true },
    validate: async () => problems(location.home),
    types: async () => [...LOCAL_TYPES],
    create: (order, signal) => create(location, order, signal),
    list: (cluster, signal) => withRetry(() => list(location, cluster, signal), signal, { policy: RETRY }),
    power: (ids: readonly string[], action: PowerAction, signal) => change({ op: 'power', ids: [...ids], action }, signal),
    resize: async (ids, type, signal) => {
      memoryMbOf(type);
      return change({ op: 'resize', ids: [...ids], type }, signal);
    },
    destroy: (ids, signal) => change({ op: 'destroy', ids: [...ids] }, signal),
  };
}

function problems(home: string): Problem[] {
  const found: Problem[] = [];
  if (process.platform !== 'linux') found.push({ key: 'driver', message: 'local machines need Linux', next: 'choose another driver: -d digitalocean' });
  if (Buffer.byteLength(home) > MAX_HOME_BYTES) found.push({ key: 'home', message: `${home} is longer than ${MAX_HOME_BYTES} bytes`, next: 'set BELT_LOCAL_HOME to a shorter path' });
  return found;
}

/** A host that goes away in between is asked again: machines of the order that exist come back as they are. */
async function* create(location: HostLocation, order: CreateOrder, signal: AbortSignal): AsyncGenerator<Created> {
  memoryMbOf(order.type);
  const seen = new Set<string>();
  const request: LocalRequest = { op: 'create', order: { ...order, machines: [...order.machines], sshPublicKeys: [...order.sshPublicKeys], tags: { ...order.tags } } };
  for (let attempt = 1; ; attempt += 1) {
    try {
      for await (const item of askHost(location, request, signal)) {
        const created = v.parse(createdSchema, item);
        const name = 'failed' in created ? created.failed : created.name;
        if (seen.has(name)) continue;
        seen.add(name);
        yield 'failed' in created ? { failed: created.failed, error: fromWire(created.error) } : created;
      }
      return;
    } catch (error) {
      if (signal.aborted || attempt === RETRY.attempts || !isBeltError(error, 'driver_unavailable')) throw error;
    }
  }
}

async function list(location: HostLocation, cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]> {
  // Nothing was ever made here: no reason to start a process.
  if ((await machineIds(location.home)).length === 0) return [];
  const machines: Machine[] = [];
  for await (const item of askHost(location, { op: 'list', cluster: { cluster: cluster.cluster, clusterId: cluster.clusterId } }, signal)) machines.push(v.parse(machineSchema, item));
  return machines;
}

async function outcomes(location: HostLocation, request: LocalRequest, signal: AbortSignal): Promise<Outcome[]> {
  const results: Outcome[] = [];
  for await (const item of askHost(location, request, signal)) {
    const outcome = v.parse(outcomeSchema, item);
    results.push(outcome.ok ? { name: outcome.name, ok: true, value: undefined, note: outcome.note } : { name: outcome.name, ok: false, error: fromWire(outcome.error) });
  }
  return results;
}
