/** `belt status`: machines counted by status; `--wait active=N` ends when that many are active and none is new. */
import { BeltError, EXIT } from '../../errors.ts';
import { pollDelayMs } from '../../provision/poll.ts';
import type { Machine } from '../../provision/driver.ts';
import { realPace } from '../../provision/rate-limit.ts';
import { compressNames } from '../../range/compress.ts';
import { defineCommand } from '../command.ts';
import type { ClusterView, Context } from '../context.ts';
import { parseDuration } from '../duration.ts';
import { currentFleet, readRanges } from '../ranges.ts';
import { noCluster, unknownMachines } from '../unknown-machines.ts';

const STATUSES = ['new', 'active', 'off', 'error', 'unknown'] as const;
type Status = (typeof STATUSES)[number];

export const command = defineCommand({
  positionals: { ranges: 'any' },
  options: {
    wait: { type: 'string', requiresArg: true, describe: 'STATUS=N: until at least N machines have it and none is new' },
    timeout: { type: 'string', default: '10m', requiresArg: true, describe: 'how long to wait' },
  },
  examples: ['belt status --wait active=3'],
  async run(ctx, args) {
    const wanted = args.wait === undefined ? null : parseWait(args.wait);
    const timeoutMs = parseDuration(args.timeout, 'timeout');
    const names = args.ranges.length === 0 ? null : readRanges(ctx, args.ranges);
    const look = async (): Promise<Machine[]> => {
      const cluster: ClusterView = ctx.cluster();
      const { machines } = await currentFleet(ctx, cluster);
      if (names !== null && wanted === null) unknownMachines(cluster, names, machines);
      return machines.filter((machine) => names === null || names.includes(machine.name));
    };
    const seen = wanted === null ? { machines: await look(), arrived: true } : await wait(ctx, look, wanted, timeoutMs);
    const rows = STATUSES.map((status) => ({ status, nodes: seen.machines.filter((machine) => machine.status === status).map((machine) => machine.name) })).filter((row) => row.nodes.length > 0);
    ctx.ui.report(rows.map(({ status, nodes }) => ({ status, count: nodes.length, names: nodes })), (ui) =>
      ui.table([{ heading: 'STATUS' }, { heading: '#NODES', numeric: true }, { heading: 'NAMES' }], rows.map((row) => [row.status, String(row.nodes.length), compressNames(row.nodes)])));
    if (!ctx.cluster().exists) ctx.ui.note(noCluster(ctx.cluster()).message);
    if (!seen.arrived) throw new BeltError('timeout', `not ${args.wait} after ${args.timeout}`, { next: 'belt ls shows which; the same command waits on' });
    return EXIT.done;
  },
});

interface Wanted {
  readonly status: Status;
  readonly count: number;
}

function parseWait(text: string): Wanted {
  const [, status, count] = /^([a-z]+)=(\d+)$/.exec(text) ?? [];
  if (status === undefined || !STATUSES.includes(status as Status) || status === 'new') {
    throw new BeltError('usage', `--wait ${text} is not STATUS=N`, { next: 'write --wait active=3 (or off, error, unknown)' });
  }
  return { status: status as Status, count: Number(count) };
}

/** Whether enough machines have the status and none is still new. */
export function hasArrived(machines: readonly { readonly status: string }[], wanted: Wanted): boolean {
  return machines.filter((machine) => machine.status === wanted.status).length >= wanted.count && !machines.some((machine) => machine.status === 'new');
}

async function wait(ctx: Context, look: () => Promise<Machine[]>, wanted: Wanted, timeoutMs: number): Promise<{ machines: Machine[]; arrived: boolean }> {
  const deadline = performance.now() + timeoutMs;
  return ctx.ui.progress(`waiting for ${wanted.status}=${wanted.count}`, wanted.count, async (report) => {
    for (let poll = 0; ; poll += 1) {
      ctx.signal.throwIfAborted();
      const machines = await look();
      if (hasArrived(machines, wanted)) return { machines, arrived: true };
      report({ done: machines.filter((machine) => machine.status === wanted.status).length });
      const pause = pollDelayMs(poll, machines.length);
      if (performance.now() + pause > deadline) return { machines, arrived: false };
      await realPace.sleep(pause, ctx.signal);
    }
  });
}
