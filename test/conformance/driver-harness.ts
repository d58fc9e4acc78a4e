/**
 * What a driver brings to the conformance suite: the driver on its cloud (real or fake), a way to look at that cloud past the
 * driver, and a way to make it misbehave. The suite names faults in the neutral words below; a harness translates
 * them (a fake's fault plan, a proxy before the real thing). What cannot be translated is exempted by name with its reason.
 */
import type { ClusterTag, Driver } from '../../src/provision/driver.ts';

/** The kinds of calls a fault can hit. `change` is power, resize and whatever else alters a machine that exists. */
export type CallKind = 'create' | 'list' | 'change' | 'destroy';

export type DriverFault =
  /** The cloud does what is asked; its reply to the next `times` calls never arrives. */
  | { readonly kind: 'lost-reply'; readonly call: CallKind; readonly times: number }
  /** The next `times` calls are refused for their number, with the wait the cloud names (whole seconds), or none. */
  | { readonly kind: 'throttle'; readonly call: CallKind; readonly times: number; readonly retryAfterSeconds: number | null }
  /** The next `times` calls end in a failure on the cloud's side (5xx) and do nothing. */
  | { readonly kind: 'server-error'; readonly call: CallKind; readonly times: number }
  /** The next `times` replies come late, by about 200 ms. */
  | { readonly kind: 'slow'; readonly call: CallKind; readonly times: number }
  /** The cloud has room for `machines` more of the small type, in all regions together. */
  | { readonly kind: 'capacity'; readonly machines: number }
  /** The account may hold `machines` more. */
  | { readonly kind: 'quota'; readonly machines: number }
  /** The credentials are not accepted from now on. */
  | { readonly kind: 'bad-credentials' }
  /** The cloud's clock differs from ours by `ms`. */
  | { readonly kind: 'clock-skew'; readonly ms: number }
  /** Lists come in pages of `size`. */
  | { readonly kind: 'page-size'; readonly size: number };

/** One cloud with nothing on it (for this harness's clusters), and drivers for it. Made anew for every case. */
export interface DriverHarness {
  /** A new driver as a new process would make it: nothing is kept from earlier ones. Time inside may be virtual. */
  driver(): Driver | Promise<Driver>;
  /** Two native type names; the second is a valid target of `resize` from the first. */
  readonly types: readonly [small: string, large: string];
  /** Two regions (or two zones' regions) that take the small type. */
  readonly regions: readonly [string, string];
  inject(fault: DriverFault): void | Promise<void>;
  /** The machines that exist and are not destroyed, by the cloud's own books, past the driver: one entry a machine. */
  onCloud(cluster: ClusterTag): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /**
   * Waits until what runs in the cloud's background (boots, power actions) has moved on; called between two looks at `list`.
   * A fake moves its clock; a real one waits for its next event or a moment.
   */
  settle(): Promise<void>;
  /** Calls that reached the cloud before the wait it had named was over; 0 for one that names none. */
  earlyCalls(): number;
  /** Removes everything. */
  close(): Promise<void>;
}
