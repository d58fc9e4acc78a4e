/**
 * M(D): M managers over D datacenters, written `5/3`, `5(3)` or as a layout `2+2+1`. Even spread, the remainder to the first datacenters; the
 * one exception is 6/4 = 3+1+1+1, three managers on fast links in the first.
 */
import { BeltError } from '../errors.ts';

export interface Topology {
  readonly managers: number;
  /** Managers of each datacenter, in the order the datacenters are given. */
  readonly layout: readonly number[];
}

/** More managers than this only make every commit slower; a layout of more is a typing error. */
export const MANAGERS_MAX = 99;

/** The topology a text says. Throws `topology` for anything else, for M < D, M < 1 and D < 1. */
export function parseTopology(text: string): Topology {
  const spread = /^(\d{1,3})(?:\/(\d{1,3})|\((\d{1,3})\))$/.exec(text);
  if (spread !== null) return spreadEvenly(text, Number(spread[1]), Number(spread[2] ?? spread[3]));
  if (/^\d{1,3}(\+\d{1,3})*$/.test(text)) {
    const layout = text.split('+').map(Number);
    if (layout.includes(0)) throw wrong(text, 'every datacenter of a layout needs a manager');
    return checked(text, layout);
  }
  throw wrong(text, 'it is neither managers/datacenters nor a layout');
}

function spreadEvenly(text: string, managers: number, datacenters: number): Topology {
  if (managers < 1) throw wrong(text, 'at least one manager is needed');
  if (datacenters < 1) throw wrong(text, 'at least one datacenter is needed');
  if (managers < datacenters) throw wrong(text, `${managers} ${plural(managers, 'manager')} cannot stand in ${datacenters} datacenters`);
  if (managers === 6 && datacenters === 4) return { managers, layout: [3, 1, 1, 1] };
  const base = Math.floor(managers / datacenters);
  const rest = managers % datacenters;
  return checked(text, Array.from({ length: datacenters }, (_, n) => base + (n < rest ? 1 : 0)));
}

function checked(text: string, layout: readonly number[]): Topology {
  const managers = layout.reduce((sum, n) => sum + n, 0);
  if (managers > MANAGERS_MAX) throw wrong(text, `more than ${MANAGERS_MAX} managers`);
  return { managers, layout };
}

function wrong(text: string, why: string): BeltError {
  return new BeltError('topology', `bad topology "${text}": ${why}`, { next: 'write managers/datacenters such as 5/3, or a layout such as 2+2+1' });
}

/** `5/3` where the layout is what {@link parseTopology} makes of it, else the layout itself. */
export function topologyText(topology: Topology): string {
  const short = `${topology.managers}/${topology.layout.length}`;
  return parseTopology(short).layout.join('+') === topology.layout.join('+') ? short : topology.layout.join('+');
}

/** Machines per datacenter when `count` of them follow the layout's proportions: used by `create --topology`. The layout itself first, then around again. */
export function dealByLayout(topology: Topology, datacenters: readonly string[], count: number): string[] {
  const turn = topology.layout.flatMap((n, index) => Array<string>(n).fill(datacenters[index] as string));
  return Array.from({ length: count }, (_, n) => turn[n % turn.length] as string);
}

/** Majority of M. */
export function quorumOf(managers: number): number {
  return Math.floor(managers / 2) + 1;
}

export function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}
