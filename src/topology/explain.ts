/** What `belt topology` tells before anything is built, and the warnings that `form` and `swarm status` repeat. */
import { nameDatacenters, placementOf } from './placement.ts';
import { formatTopology, type Topology } from './parse.ts';
import { quorumOf, toleranceOf, type Placed, type Tolerance } from './quorum.ts';

/** The JSON of `belt topology SPEC`: its fields are a contract with scripts. */
export interface Explanation {
  readonly managers: number;
  readonly datacenters: readonly string[];
  readonly placement: readonly Placed[];
  readonly quorum: number;
  readonly tolerates: Tolerance;
  /** Plain sentences. */
  readonly warnings: readonly string[];
}

/** With more managers each change waits for more of them; Docker and the book advise seven at most. */
export const MANAGERS_ADVISED = 7;

/** Explains a topology on `datacenters`, or on `dc1`, `dc2`, … where none are named. Throws `topology` where their number differs. */
export function explainTopology(topology: Topology, datacenters: readonly string[] = nameDatacenters(topology)): Explanation {
  return explainPlacement(placementOf(topology, datacenters));
}

/** Explains managers where they stand; datacenters with none of them are left out. */
export function explainPlacement(given: readonly Placed[]): Explanation {
  const placement = given.filter((placed) => placed.managers > 0);
  const managers = placement.reduce((sum, placed) => sum + placed.managers, 0);
  const tolerates = toleranceOf(placement);
  return { managers, datacenters: placement.map((placed) => placed.datacenter), placement, quorum: quorumOf(managers), tolerates, warnings: warningsOf(placement, tolerates) };
}

/** The topology managers really have, as it would be written: `5/3`, or the layout. */
export function describePlacement(placement: readonly Placed[]): string {
  const layout = placement.map((placed) => placed.managers).filter((count) => count > 0);
  return formatTopology({ managers: layout.reduce((sum, count) => sum + count, 0), layout });
}

function warningsOf(placement: readonly Placed[], tolerates: Tolerance): string[] {
  const managers = placement.reduce((sum, placed) => sum + placed.managers, 0);
  if (managers === 0) return ['there is no manager'];
  return [...numberWarnings(managers), ...datacenterWarnings(placement, managers, tolerates)];
}

function numberWarnings(managers: number): string[] {
  const warnings: string[] = [];
  if (managers === 1) warnings.push('one manager: when it is lost, control is lost; three are the least that survive a loss');
  else if (managers === 2) warnings.push('two managers are worse than one: both are needed, so losing either loses control');
  else if (managers % 2 === 0) {
    const survived = managers - quorumOf(managers);
    warnings.push(`${managers} managers survive no more losses than ${managers - 1}: ${survived} either way, and ${quorumOf(managers)} instead of ${quorumOf(managers - 1)} must agree on every change`);
  }
  if (managers > MANAGERS_ADVISED) warnings.push(`more than ${MANAGERS_ADVISED} managers slow the swarm down: ${quorumOf(managers)} of ${managers} must agree on every change`);
  return warnings;
}

function datacenterWarnings(placement: readonly Placed[], managers: number, tolerates: Tolerance): string[] {
  const [first, second] = placement;
  if (managers === 1 || first === undefined) return [];
  if (second === undefined) return [`all managers stand in ${first.datacenter}: losing it loses control`];
  if (placement.length === 2) {
    if (first.managers === second.managers) return [`exactly two datacenters, equally large: losing either ${first.datacenter} or ${second.datacenter} loses control; a third one, even with a single manager, mends that`];
    const larger = first.managers > second.managers ? first : second;
    return [`exactly two datacenters: losing the larger, ${larger.datacenter} (${larger.managers} of ${managers} managers), loses control`];
  }
  const quorum = quorumOf(managers);
  return placement
    .filter((placed) => !tolerates.datacenters.includes(placed.datacenter))
    .map((placed) => `losing ${placed.datacenter} loses control: it holds ${placed.managers} of ${managers} managers, and the ${managers - placed.managers} elsewhere are fewer than the ${quorum} needed`);
}
