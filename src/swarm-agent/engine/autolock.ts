/** What belt says of Docker's autolock. Its key is the user's: belt neither asks for it nor keeps it. Pure. */
import type { EngineReport } from './assign.ts';

const AUTOLOCK = 'Docker’s autolock is on: a manager’s engine that restarts waits for docker swarm unlock, and without its quorum Docker’s swarm cannot be rebuilt (docker swarm update --autolock=false)';

/** Docker Engine forces no new cluster out of a sealed one: it ends as an engine in no swarm, its directory still sealed (moby/moby#36852). */
export const SEALED = 'Docker’s swarm has lost its quorum under autolock, and Docker Engine makes no new one out of it: start the lost managers’ machines and unlock each (belt --host NAME docker swarm unlock), or give its services up (belt swarm leave --force with all nodes, then form)';

/** Names each engine that waits for the key, and tells that autolock is on. `own` is what the leader's engine reported. */
export function lockWarnings(reports: ReadonlyMap<string, EngineReport>, nameOf: (id: string) => string | undefined, own: EngineReport | undefined): string[] {
  const locked = [...reports].flatMap(([id, { swarm }]) => {
    const name = nameOf(id);
    return swarm !== 'locked' || name === undefined ? [] : [`the engine of ${name} is locked by Docker’s autolock: belt --host ${name} docker swarm unlock asks for the key`];
  });
  return own?.tokens?.autolock === true ? [...locked, AUTOLOCK] : locked;
}
