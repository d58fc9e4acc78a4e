/** What a placement survives, in numbers and in plain sentences. */
import { quorumOf } from './topology.ts';

/** Managers that stand, or shall stand, in one datacenter. */
export interface Placed {
  readonly datacenter: string;
  readonly managers: number;
}

export interface Tolerance {
  /** Managers that may be lost, whichever they are. */
  readonly nodes: number;
  /** Datacenters each of which may be lost alone. */
  readonly datacenters: readonly string[];
  /** Pairs of datacenters that may be lost together. */
  readonly datacenterPairs: readonly (readonly [string, string])[];
}

/** What `belt topology` shows; the field names are a contract with scripts. */
export interface TopologyReport {
  readonly managers: number;
  readonly datacenters: readonly string[];
  readonly placement: readonly Placed[];
  readonly quorum: number;
  readonly tolerates: Tolerance;
  readonly warnings: readonly string[];
}

/** Everything there is to say about a placement. */
export function report(placement: readonly Placed[]): TopologyReport {
  const managers = total(placement);
  return { managers, datacenters: placement.map((p) => p.datacenter), placement, quorum: quorumOf(managers), tolerates: tolerance(placement), warnings: warnings(placement) };
}

export function tolerance(placement: readonly Placed[]): Tolerance {
  const managers = total(placement);
  const quorum = quorumOf(managers);
  const survives = (...lost: Placed[]): boolean => managers - total(lost) >= quorum;
  const pairs = placement.flatMap((a, at) => placement.slice(at + 1).map((b) => [a, b] as const));
  return {
    nodes: managers - quorum,
    datacenters: placement.filter((p) => survives(p)).map((p) => p.datacenter),
    datacenterPairs: pairs.filter(([a, b]) => survives(a, b)).map(([a, b]) => [a.datacenter, b.datacenter]),
  };
}

/** What an operator should know before building it, most important first. Empty: nothing to say. */
export function warnings(placement: readonly Placed[]): string[] {
  const managers = total(placement);
  const quorum = quorumOf(managers);
  return [...lossWarnings(placement, managers, quorum), ...countWarnings(managers, quorum)];
}

function lossWarnings(placement: readonly Placed[], managers: number, quorum: number): string[] {
  if (placement.length === 1) return [`All managers stand in ${(placement[0] as Placed).datacenter}: losing it loses control.`];
  if (placement.length === 2) {
    const [a, b] = placement as readonly [Placed, Placed];
    if (a.managers === b.managers) return [`Two equal datacenters: losing either one loses control, since ${quorum} of ${managers} managers are needed and ${a.managers} ${a.managers === 1 ? 'is' : 'are'} left.`];
    const larger = a.managers > b.managers ? a : b;
    return [`Two datacenters: losing ${larger.datacenter}, the larger, loses control. Three datacenters survive the loss of any one.`];
  }
  return placement
    .filter((p) => managers - p.managers < quorum)
    .map((p) => {
      const alone = p.managers < quorum ? ` Its ${p.managers} managers cannot commit alone either.` : '';
      return `Losing ${p.datacenter} loses control: it holds ${p.managers} of ${managers} managers, ${managers - p.managers} are left and ${quorum} are needed.${alone}`;
    });
}

function countWarnings(managers: number, quorum: number): string[] {
  const out: string[] = [];
  if (managers === 1) out.push('One manager: its loss is the loss of the cluster (belt swarm rebuild from a backup).');
  else if (managers === 2) out.push('Two managers are worse than one: losing either one loses control.');
  else if (managers % 2 === 0) out.push(`${managers} managers are no better than ${managers - 1}: both survive the loss of ${managers - quorum}, and ${managers} must agree by ${quorum}.`);
  if (managers > 7) out.push(`${managers} managers make every change wait for ${quorum} of them; seven are enough for most swarms.`);
  return out;
}

function total(placement: readonly Placed[]): number {
  return placement.reduce((sum, p) => sum + p.managers, 0);
}
