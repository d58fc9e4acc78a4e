/** What a command runs with: where it stands, the cluster, its drivers, the screen, and the moment to stop. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { DRIVERS, driverBlocks } from '../../drivers/registry.ts';
import { BeltError } from '../errors.ts';
import type { ConfigFile } from '../inventory/config-file.ts';
import { clusterExists, type ClusterFiles, clusterFiles, type OpenCluster, openCluster, viewCluster } from '../inventory/cluster.ts';
import { DEFAULT_CLUSTER, findHome, type Home, readCurrent } from '../inventory/home.ts';
import type { DriverBlock, Settings } from '../inventory/settings.ts';
import { type ClusterState, emptyState } from '../inventory/state.ts';
import type { ClusterTag, Driver } from '../provision/driver.ts';
import type { Parts } from '../provision/parts.ts';
import type { SpotPrices } from '../provision/sizes.ts';
import type { Snapshots } from '../provision/snapshots.ts';
import type { Ui } from '../ui/ui.ts';
import type { GlobalFlags } from './command.ts';

/** The world outside, given by `main.ts`, and by tests. */
export interface Ports {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  /** Fires at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Drivers in place of the registered ones, for tests. */
  readonly drivers?: Readonly<Record<string, Driver>>;
}

/** A cluster as it was when it was read. */
export interface ClusterView {
  readonly name: string;
  readonly files: ClusterFiles;
  /** False: the cluster `default`, which nobody has made yet. */
  readonly exists: boolean;
  readonly state: Readonly<ClusterState>;
  readonly tag: ClusterTag;
}

/** What may stand beside a driver. */
interface Beside {
  readonly parts: Parts;
  readonly snapshots: Snapshots;
  readonly spotPrices: SpotPrices;
}

/** What is about to happen to machines, for {@link Context.guard}. */
export type GuardedAction = 'start' | 'stop' | 'kill' | 'pause' | 'resize' | 'rm';

export class Context {
  readonly ports: Ports;
  readonly ui: Ui;
  readonly flags: GlobalFlags;
  /** The command line without secrets, for locks and messages: the command's own path. */
  readonly command: string;
  #home: Home | undefined;
  #settings: Promise<Settings> | undefined;
  readonly #drivers = new Map<string, Promise<Driver>>();

  constructor(ports: Ports, ui: Ui, flags: GlobalFlags, command: string) {
    this.ports = ports;
    this.ui = ui;
    this.flags = flags;
    this.command = command;
    if (flags.driver !== undefined && !Object.hasOwn(DRIVERS, flags.driver)) throw unknownDriver(flags.driver);
  }

  get signal(): AbortSignal {
    return this.ports.signal;
  }

  get home(): Home {
    this.#home ??= findHome(this.ports.cwd);
    return this.#home;
  }

  /** The name of the cluster this line is about: `--cluster`, `BELT_CLUSTER`, else the current one. */
  get clusterName(): string {
    return this.flags.cluster ?? (this.ports.env['BELT_CLUSTER'] || readCurrent(this.home).cluster);
  }

  /** The cluster as it is now, without a lock. Throws `unknown_cluster`, `state_damaged`, `state_newer`; only `default` need not exist. */
  cluster(): ClusterView {
    const name = this.clusterName;
    const files = clusterFiles(this.home, name);
    const exists = clusterExists(this.home, name) || name !== DEFAULT_CLUSTER;
    const state = exists ? viewCluster(this.home, name) : emptyState(name, '', '');
    return { name, files, exists, state, tag: { cluster: name, clusterId: state.cluster.id } };
  }

  /** Runs `act` with the cluster locked for changes; `default` is made when nobody has. Throws `locked`. */
  async change<T>(act: (cluster: OpenCluster & { readonly tag: ClusterTag }) => Promise<T>): Promise<T> {
    const name = this.clusterName;
    if (!clusterExists(this.home, name) && name === DEFAULT_CLUSTER) {
      const { newCluster } = await import('./new-cluster.ts');
      await newCluster(this.home, name, this.command, this.ports);
    }
    const open = openCluster(this.home, name, this.command, this.ports.now());
    try {
      const result = await act({ ...open, tag: { cluster: name, clusterId: open.store.state.cluster.id } });
      await open.store.flush();
      return result;
    } finally {
      // After a failure what was changed is still written while the lock is ours; that it cannot be is the lesser news.
      await open.store.flush().catch(() => undefined);
      open.close();
    }
  }

  /** The configuration in force. Throws `config` with every mistake at once. */
  settings(): Promise<Settings> {
    this.#settings ??= this.#resolveSettings();
    return this.#settings;
  }

  async #resolveSettings(): Promise<Settings> {
    const [{ resolveSettings }, blocks] = await Promise.all([import('../inventory/settings.ts'), this.blocks()]);
    const config = clusterFiles(this.home, this.clusterName).config;
    const sources = {
      flags: this.flags.driver === undefined ? {} : { driver: this.flags.driver },
      env: this.ports.env,
      clusterFile: readConfig(config, this.ports.cwd),
      projectFile: this.home.projectFile === null ? null : readConfig(this.home.projectFile, this.ports.cwd),
    };
    return resolveSettings(sources, blocks, null) ?? resolveSettings(sources, blocks, await import('../inventory/config-file.ts'));
  }

  blocks(): Promise<readonly DriverBlock[]> {
    return driverBlocks();
  }

  /** A driver with its options checked; the configured one where no name is given. Throws `config`. */
  async driver(name?: string): Promise<Driver> {
    const settings = await this.settings();
    const wanted = name ?? settings.driver;
    const known = this.#drivers.get(wanted);
    if (known !== undefined) return known;
    const made = this.#makeDriver(wanted, settings);
    this.#drivers.set(wanted, made);
    return made;
  }

  /** The drivers of these names, each once. */
  async drivers(names: Iterable<string>): Promise<Driver[]> {
    const drivers: Driver[] = [];
    for (const name of new Set(names)) drivers.push(await this.driver(name));
    return drivers;
  }

  async #makeDriver(name: string, settings: Settings): Promise<Driver> {
    const given = this.ports.drivers?.[name];
    if (given !== undefined) return given;
    const registered = DRIVERS[name];
    if (registered === undefined) throw unknownDriver(name);
    return registered.create((await this.driverOptions(name, settings)) as never);
  }

  /** What stands beside the driver of this name, such as its `parts`; null where it has nothing of the kind. Throws `config`. */
  async beside<K extends keyof Beside>(name: string, kind: K): Promise<Beside[K] | null> {
    const make = this.ports.drivers?.[name] === undefined ? DRIVERS[name]?.[kind] : undefined;
    return make === undefined ? null : ((await make((await this.driverOptions(name, await this.settings())) as never)) as Beside[K]);
  }

  /** Whether the list of the driver of this name may lack, for a while, what was made. */
  listLags(name: string): boolean {
    return this.ports.drivers?.[name] !== undefined || DRIVERS[name]?.listsAtOnce !== true;
  }

  /** The options of a driver as they are in force, defaults filled in. */
  async driverOptions(name: string, settings: Settings): Promise<Record<string, unknown>> {
    const registered = DRIVERS[name];
    if (registered === undefined) return {};
    const { driverOptions } = await import('../inventory/settings.ts');
    return driverOptions(settings, await registered.block());
  }

  /**
   * Refuses (`refused`) what would break a quorum that could have been kept. `force` says so and goes on. The decision is `src/cli/guard.ts`'s.
   */
  async guard(cluster: ClusterView, names: readonly string[], action: GuardedAction, force: boolean): Promise<void> {
    const { guardQuorum } = await import('./guard.ts');
    await guardQuorum(this, cluster, names, action, force);
  }
}

function unknownDriver(name: string): BeltError {
  return new BeltError('config', `there is no driver '${name}'`, { next: `name one of ${Object.keys(DRIVERS).join(', ')}` });
}

function readConfig(file: string, cwd: string): ConfigFile | null {
  try {
    const shown = path.relative(cwd, file);
    return { name: shown.startsWith('../../..') ? file : shown, content: readFileSync(file, 'utf8') };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new BeltError('config', `${file} cannot be read`, { cause: error, next: 'make it readable' });
  }
}
