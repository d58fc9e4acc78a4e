/** The bootstrap of many machines: a sliding window, one connection each, seeds shared within a datacenter. */
import { join } from 'node:path';

import { BeltError, type Outcome } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { runAll } from '../provision/run-all.ts';
import { agentBundle } from '../swarm-agent/bundle.ts';
import { bootstrapMachine, placeOf, type Bootstrapped, type Signer } from './bootstrap-machine.ts';
import type { Remote } from './conversation.ts';
import type { Facts } from './facts.ts';
import { cacheFolder, hostRuntime, keptAgent, runtimeArchive, type RuntimeArchive } from './runtime.ts';
import { Seeds } from './seeds.ts';
import { addressOf, agentConfig, serviceFiles, type BootstrapCluster, type EngineWish, type Wanted } from './wanted.ts';

/** A connection to one machine; one of src/ssh is one. */
export interface MachineConnection {
  stream(command: string): Promise<Remote>;
  close(): Promise<void>;
}

/** What is going on; `step` is the id of a step (steps/index.ts), or `connect`. */
export type BootstrapProgress =
  | { readonly kind: 'step'; readonly machine: string; readonly step: string }
  | { readonly kind: 'done'; readonly machine: string; readonly outcome: Outcome<Bootstrapped>; readonly done: number; readonly failed: number };

export interface BootstrapOrder {
  readonly machines: readonly Machine[];
  readonly cluster: BootstrapCluster;
  readonly signer: Signer;
  /** Which engine a machine shall have. */
  readonly engineOf: (machine: Machine) => EngineWish;
  /** Opens a connection whose host key was judged, and pins a key that is new. */
  readonly connect: (machine: Machine, signal: AbortSignal) => Promise<MachineConnection>;
  readonly signal: AbortSignal;
  /** Whether a machine gets its files by links on this host. Default: those of `local` do. */
  readonly linked?: ((machine: Machine) => boolean) | undefined;
  /** Machines at once. Default 50. */
  readonly limit?: number | undefined;
  readonly dryRun?: boolean | undefined;
  /** Sign new certificates although the old ones hold. */
  readonly renew?: boolean | undefined;
  /** The ids of the only steps that may act. */
  readonly only?: readonly string[] | undefined;
  readonly now?: (() => number) | undefined;
  /** The packed runtime for an architecture; default: the one belt runs on. */
  readonly archiveOf?: ((arch: string) => Promise<RuntimeArchive>) | undefined;
  readonly onProgress?: ((event: BootstrapProgress) => void) | undefined;
}

/** More than this at once gains nothing: the machines' own work is what takes the time. */
export const WINDOW = 50;

/** Bootstraps each machine; the outcomes stand in the machines' order. A second run changes nothing. */
export async function bootstrapMachines(order: BootstrapOrder): Promise<Outcome<Bootstrapped>[]> {
  const seeds = new Seeds();
  for (const machine of order.machines) seeds.expect(placeOf(machine));
  const wanted = await wishes(order);
  const { signal, onProgress } = order;
  return runAll(order.machines, (machine) => one(machine, order, seeds, wanted), {
    limit: order.limit ?? WINDOW, signal, nameOf: ({ name }) => name,
    onDone: (outcome, done, failed) => onProgress?.({ kind: 'done', machine: outcome.name, outcome, done, failed }),
  });
}

async function one(machine: Machine, order: BootstrapOrder, seeds: Seeds, wanted: (machine: Machine, facts: Facts) => Promise<Wanted>): Promise<Bootstrapped> {
  const { signal, signer } = order;
  const onStep = (step: string): void => order.onProgress?.({ kind: 'step', machine: machine.name, step });
  return bootstrapMachine({
    machine, signer, seeds, signal, onStep, archiveOf: order.archiveOf ?? runtimeArchive, dryRun: order.dryRun ?? false, only: order.only ?? null, wanted: (facts) => wanted(machine, facts),
    open: async (command) => {
      onStep('connect');
      if (addressOf(machine) === null) throw new BeltError('unreachable', `${machine.name} has no address yet`, { machine: machine.name, next: 'belt status --wait active=1' });
      const connection = await order.connect(machine, signal);
      try {
        const { stdin, stdout, stderr, close } = await connection.stream(command);
        return { stdin, stdout, stderr, close: () => { close(); void connection.close(); } };
      } catch (error) {
        await connection.close();
        throw error;
      }
    },
  });
}

/** What each machine shall be. What is the same for all is made once. */
async function wishes(order: BootstrapOrder): Promise<(machine: Machine, facts: Facts) => Promise<Wanted>> {
  const { cluster, engineOf } = order;
  const bundle = await agentBundle();
  const linked = order.linked ?? (({ driver }) => driver === 'local');
  const kept = order.machines.some(linked) ? await keptAgent(bundle.path, bundle.sha256) : bundle.path;
  const files = serviceFiles(cluster, join(cacheFolder(), 'compiled'));
  const now = order.now ?? Date.now;
  return async (machine, facts) => {
    const local = linked(machine);
    return {
      machine: machine.name, cluster, agent: local ? { ...bundle, path: kept } : bundle, engine: engineOf(machine), config: agentConfig(machine, cluster), ...files,
      delivery: local ? 'link' : 'send', runtime: local ? { link: hostRuntime() } : { sha256: (await (order.archiveOf ?? runtimeArchive)(facts.arch)).sha256 },
      renew: order.renew ?? false, nowMs: now(),
    };
  };
}
