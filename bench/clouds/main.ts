/**
 * How long 5,000 machines take on each cloud's fake with its real limits, beside what the limits alone allow: `bin/node bench/clouds/main.ts
 * [MACHINES]`, in virtual time. Ends with 1 where a run took more than 1.2 times the floor and 10 s, or more than one call was throttled.
 */
import { atLimits, callsOf, CLOUDS, faultsAtLimits } from '../../test/clouds/at-limits.ts';

const MACHINES = Number(process.argv[2] ?? 5_000);

console.log(`${MACHINES} machines, limits of the real clouds`);
console.log('CLOUD          FLOOR     TOOK   RATIO   CALLS   THROTTLED   PEAK');
for (const cloud of CLOUDS) {
  const began = performance.now();
  const run = await atLimits(cloud, MACHINES);
  const wall = (performance.now() - began) / 1000;
  const faults = faultsAtLimits(run, MACHINES);
  const peakMb = process.resourceUsage().maxRSS / 1024;
  const numbers = [`${run.floor.toFixed(0)} s`.padStart(7), `${run.took.toFixed(0)} s`.padStart(8), (run.took / Math.max(1, run.floor)).toFixed(2).padStart(7), String(callsOf(run.calls)).padStart(7), String(run.throttled).padStart(11), `${peakMb.toFixed(0)} MB`.padStart(6)];
  console.log(`${cloud.padEnd(12)} ${numbers.join(' ')}    ${faults.length === 0 ? 'as it should be' : `WRONG: ${faults.join('; ')}`} (${wall.toFixed(0)} s of the wall's clock)`);
  if (faults.length > 0) process.exitCode = 1;
}
