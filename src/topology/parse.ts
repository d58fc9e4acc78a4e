/**
 * `5/3`, `5(3)` and `2+2+1` → how many managers stand together. The rule: an even spread, the remainder to the first datacenters. One
 * exception, from the book of 2016: 6/4 is 3+1+1+1, three managers on fast links together (an even spread of six is written `2+2+1+1`).
 */
import { BeltError } from '../errors.ts';

/** M managers over D datacenters. */
export interface Topology {
  readonly managers: number;
  /** Managers in each datacenter, in the order of the datacenters: one number of at least 1 each. */
  readonly layout: readonly number[];
}

/** Most managers that can be asked for; the warnings begin far below. */
export const MANAGERS_MAX = 99;

const WAY = 'write managers/datacenters such as 5/3, or a layout such as 2+2+1';

/** The topology that `text` says. Throws `topology` with the way out for anything malformed and for M < D, M < 1 or D < 1. */
export function parseTopology(text: string): Topology {
  const spec = text.trim();
  const pair = /^(\d{1,6})(?:\/(\d{1,6})|\((\d{1,6})\))$/.exec(spec);
  if (pair !== null) return spread(spec, Number(pair[1]), Number(pair[2] ?? pair[3]));
  if (/^\d{1,6}(\+\d{1,6})+$/.test(spec)) return ofLayout(spec, spec.split('+').map(Number));
  if (/^\d{1,6}$/.test(spec)) throw bad(spec, 'the number of datacenters is missing', `${spec}/1, ${spec}/3 or a layout such as 2+2+1`);
  throw bad(spec, 'it is not a topology');
}

/** `M/D` where the rule gives that layout, the layout itself otherwise; parses back to the same topology. */
export function formatTopology({ managers, layout }: Topology): string {
  const even = evenSpread(managers, layout.length);
  return even.every((count, index) => count === layout[index]) ? `${managers}/${layout.length}` : layout.join('+');
}

function spread(spec: string, managers: number, datacenters: number): Topology {
  if (managers < 1) throw bad(spec, 'at least one manager is needed');
  if (datacenters < 1) throw bad(spec, 'at least one datacenter is needed');
  if (managers > MANAGERS_MAX) throw bad(spec, `more than ${MANAGERS_MAX} managers`, 'Swarm slows down with more than 7');
  if (managers < datacenters) throw bad(spec, `${managers} ${managers === 1 ? 'manager' : 'managers'} cannot stand in ${datacenters} datacenters`, `give at least ${datacenters} managers, or at most ${managers} datacenters`);
  return { managers, layout: evenSpread(managers, datacenters) };
}

function ofLayout(spec: string, layout: number[]): Topology {
  if (layout.includes(0)) throw bad(spec, 'a datacenter of the layout has no manager', 'leave the 0 out');
  const managers = layout.reduce((sum, count) => sum + count, 0);
  if (managers > MANAGERS_MAX) throw bad(spec, `more than ${MANAGERS_MAX} managers`, 'Swarm slows down with more than 7');
  return { managers, layout };
}

function evenSpread(managers: number, datacenters: number): number[] {
  if (managers === 6 && datacenters === 4) return [3, 1, 1, 1];
  const least = Math.floor(managers / datacenters);
  const remainder = managers % datacenters;
  return Array.from({ length: datacenters }, (_, index) => least + (index < remainder ? 1 : 0));
}

function bad(spec: string, problem: string, next: string = WAY): BeltError {
  return new BeltError('topology', `bad topology "${spec.slice(0, 40)}": ${problem}`, { next });
}
