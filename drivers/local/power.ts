/** What state a local machine is in, and what an action finds already done. Pure. */
import type { MachineStatus, PowerAction } from '../../src/provision/driver.ts';
import type { MachineRecord } from './machine-record.ts';

/** `listens`: its SSH server is up. A machine that should run and does not is in error; a frozen one has no word of its own. */
export function statusOf({ power }: Pick<MachineRecord, 'power'>, listens: boolean): MachineStatus {
  if (power === 'off') return 'off';
  if (!listens) return 'error';
  return power === 'on' ? 'active' : 'unknown';
}

/** What to say where nothing is to be done; undefined where something is. */
export function noteOf({ power }: Pick<MachineRecord, 'power'>, listens: boolean, action: PowerAction): string | undefined {
  if (action === 'start' && power === 'on' && listens) return 'already on';
  if ((action === 'stop' || action === 'kill') && power === 'off') return 'already off';
  if (action === 'pause' && power !== 'on') return power === 'paused' ? 'already paused' : 'is off';
  if (action === 'unpause' && power !== 'paused') return 'is not paused';
  return undefined;
}
