/** `belt cluster ls`: clusters here, with the active machine, the leader, the managers and the nodes. */
import { existsSync } from 'node:fs';

import { clusterFiles, viewCluster } from '../../inventory/cluster.ts';
import { listClusters, readCurrent } from '../../inventory/home.ts';
import { isBeltError } from '../../errors.ts';
import { runAll } from '../../provision/run-all.ts';
import { defineCommand } from '../command.ts';
import { type ClusterSummary, summarizeCluster } from '../cluster-summary.ts';

const CLUSTERS_AT_ONCE = 8;

export const command = defineCommand({
  positionals: {},
  options: {},
  async run(ctx) {
    const current = readCurrent(ctx.home);
    const names = existsSync(ctx.home.folder) ? listClusters(ctx.home) : [];
    const summarize = async (name: string): Promise<ClusterSummary> => {
      const state = viewCluster(ctx.home, name);
      return summarizeCluster(ctx, { name, files: clusterFiles(ctx.home, name), exists: true, state, tag: { cluster: name, clusterId: state.cluster.id } }, current);
    };
    // At once, so that one whose managers do not answer holds up no other; and one damaged cluster does not hide the others.
    const outcomes = await runAll(names, summarize, { limit: CLUSTERS_AT_ONCE, signal: ctx.signal, nameOf: (name) => name });
    ctx.signal.throwIfAborted();
    const rows = outcomes.map((outcome): ClusterSummary => {
      if (outcome.ok) return outcome.value;
      const { name, error } = outcome;
      if (!isBeltError(error.cause ?? error)) throw error.cause;
      ctx.ui.warn(error.message);
      return { cluster: name, current: current.cluster === name, active: current.active[name] ?? null, leader: null, managers: null, ready: null, total: null };
    });
    ctx.ui.report(rows, (ui) =>
      ui.table(
        [{ heading: 'CLUSTER' }, { heading: 'ACTIVE' }, { heading: 'LEADER' }, { heading: 'MASTERS' }, { heading: '#NODES' }],
        rows.map((row) => [row.cluster, row.active ?? '', row.leader ?? '', row.managers?.join(',') ?? '', row.total === null ? '' : `${row.ready} / ${row.total}`]),
      ),
    );
  },
});
