/**
 * What a driver is. One small interface that every cloud implements and one conformance suite (test/conformance) that every
 * implementation passes. A driver talks to one cloud and keeps nothing: who owns a machine is a tag on the machine, and what was
 * asked for is written down by the caller before `create` is called.
 */
import { BeltError, type Outcome } from '../errors.ts';

/** `new` is being made or booting; `unknown` is a state the cloud names and belt does not. */
export type MachineStatus = 'new' | 'active' | 'off' | 'error' | 'unknown';

/** A machine as its cloud describes it now. A field is null when the cloud does not tell. The field names are a contract with scripts. */
export interface Machine {
  readonly name: string;
  readonly driver: string;
  /** The cloud's own id, unique in the account and region. */
  readonly id: string;
  readonly status: MachineStatus;
  readonly publicIpv4: string | null;
  readonly privateIpv4: string | null;
  readonly sshPort: number;
  readonly sshUser: string;
  readonly memoryMb: number | null;
  readonly region: string;
  /** `driver:region` or `driver:region/zone`: the failure domain of the planner. */
  readonly datacenter: string;
  readonly image: string | null;
  /** The cloud's native type name. */
  readonly size: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

/** A type (size) on offer. */
export interface MachineType {
  readonly name: string;
  readonly memoryMb: number;
  readonly vcpus: number;
  /** Price in the account's currency per hour, null when not known. */
  readonly pricePerHour: number | null;
  /** Regions that offer it; null where it is on offer everywhere or the table is the offline one. */
  readonly regions: readonly string[] | null;
}

/** One mistake in configuration or credentials, with the key it stands under and the way out. */
export interface Problem {
  readonly key: string | null;
  readonly message: string;
  readonly next: string | null;
}

/** The tags every machine of a cluster carries, whatever characters the cloud allows for them. */
export interface ClusterTag {
  /** The cluster's name. */
  readonly cluster: string;
  /** The cluster's id (128 bits, hex): two clusters of one name in one account are told apart by it. */
  readonly clusterId: string;
}

/** Where one ordered machine shall stand. `zone` null: the driver chooses. */
export interface OrderedMachine {
  readonly name: string;
  readonly region: string;
  readonly zone: string | null;
}

/** What is asked of `create`. It was stored under `id` before the driver saw it, so a repeat after a crash carries the same id. */
export interface CreateOrder extends ClusterTag {
  /** Unique id of the order (hex), put on each machine as a tag and used for idempotency tokens. */
  readonly id: string;
  readonly machines: readonly OrderedMachine[];
  /** A run that died had it before: what that asked for last may be on no list yet. */
  readonly resumed?: boolean;
  /** Native type name: sizes such as `512mb` are mapped by the caller with `types()`. */
  readonly type: string;
  readonly memoryMb: number | null;
  /** Native image name, null for the driver's default. */
  readonly image: string | null;
  /** OpenSSH public key lines that may log in. The user data lets all of them in; what the cloud itself takes is let in without it. */
  readonly sshPublicKeys: readonly string[];
  /** Cloud-init user data, null where the driver takes none. */
  readonly userData: string | null;
  readonly tags: Readonly<Record<string, string>>;
  /** Ask for interruptible capacity where the cloud has it. */
  readonly spot: boolean;
}

/** What a failed machine of an order comes back as, beside the machines that were made. */
export type Created = Machine | { readonly failed: string; readonly error: BeltError };

/**
 * What `list` throws when some regions answered and some did not. Who must know all takes it for the failure that it is (its code is the first
 * region's); who shows what there is takes the machines.
 */
export class ListedInPart extends BeltError {
  readonly machines: readonly Machine[];
  readonly regions: ReadonlyMap<string, BeltError>;

  constructor(machines: readonly Machine[], regions: ReadonlyMap<string, BeltError>) {
    const [first] = regions.values();
    super(first?.code ?? 'driver_unavailable', [...regions].map(([region, { message }]) => `${region}: ${message}`).join('; '), { next: first?.next, cause: first });
    this.machines = machines;
    this.regions = regions;
  }
}

export type PowerAction = 'start' | 'stop' | 'kill' | 'reboot' | 'pause' | 'unpause';

/**
 * All methods take a signal and stop soon after it fires. All errors thrown are `BeltError`s of a `driver_*` code (or `config`).
 * Drivers retry nothing but what `drivers`' shared retry policy (src/provision/retry.ts) does for them in one place.
 */
export interface Driver {
  readonly name: string;
  /** What the driver can do beyond the rest, so that nobody asks in vain. */
  readonly abilities: {
    /** User data is run by cloud-init on the machine. */
    readonly userData: boolean;
    readonly resize: boolean;
    /** `pause`/`unpause` are understood. */
    readonly pause: boolean;
    /** Whether machines are destroyed by `destroy` (false: `generic` only forgets them). */
    readonly destroys: boolean;
  };
  /** Configuration and credentials, every problem at once, before anything costs money. Empty: all is well. */
  validate(signal: AbortSignal): Promise<Problem[]>;
  /** The types on offer, cheapest first among equals. */
  types(signal: AbortSignal): Promise<MachineType[]>;
  /** Makes the machines of the order in the cloud's own batches and yields each as soon as its id is known (status may be `new`), under a name that
   *  no later list changes. Machines of this order id that exist already are yielded and not made again. A machine that could not be made is yielded
   *  as failed; the rest goes on.
   *  What one call made is yielded in one turn of the event loop: it is written down as a whole, and a run that goes on asks for whole calls again. */
  create(order: CreateOrder, signal: AbortSignal): AsyncIterable<Created>;
  /** Every machine of the cluster, in one sweep of each account and region, destroyed ones left out. Throws {@link ListedInPart} where only some regions answer. */
  list(cluster: ClusterTag, signal: AbortSignal): Promise<Machine[]>;
  /** Outcomes carry the machine's id as `name`. What is already as asked is ok with a note. An unknown id is a failure. */
  power(ids: readonly string[], action: PowerAction, signal: AbortSignal): Promise<Outcome[]>;
  resize(ids: readonly string[], type: string, signal: AbortSignal): Promise<Outcome[]>;
  /** An id that is gone already is ok with the note "already gone". */
  destroy(ids: readonly string[], signal: AbortSignal): Promise<Outcome[]>;
}

/** Thrown nowhere; a type for what a driver module exports: `createDriver(options)` with options already checked by its schema. */
export type DriverFactory<Options> = (options: Options) => Driver;
