/** `belt cluster ls`: clusters here, with the active machine, the leader, the managers and the nodes. */
import { existsSync } from 'node:fs';

import { clusterFiles, viewCluster } from '../../inventory/cluster.ts';
import { listClusters, readCurrent } from '../../inventory/home.ts';
import { isBeltError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { type ClusterSummary, summarizeCluster } from '../cluster-summary.ts';

export const command = defineCommand({
  positionals: {},
  options: {},
  async run(ctx) {
    const current = readCurrent(ctx.home);
    const rows: ClusterSummary[] = [];
    for (const name of existsSync(ctx.home.folder) ? listClusters(ctx.home) : []) {
      try {
        const state = viewCluster(ctx.home, name);
        const view = { name, files: clusterFiles(ctx.home, name), exists: true, state, tag: { cluster: name, clusterId: state.cluster.id } };
        rows.push(await summarizeCluster(ctx, view, current));
      } catch (error) {
        // One damaged cluster does not hide the others.
        if (!isBeltError(error)) throw error;
        ctx.ui.warn(error.message);
        rows.push({ cluster: name, current: current.cluster === name, active: current.active[name] ?? null, leader: null, managers: null, ready: null, total: null });
      }
    }
    ctx.ui.report(rows, (ui) =>
      ui.table(
        [{ heading: 'CLUSTER' }, { heading: 'ACTIVE' }, { heading: 'LEADER' }, { heading: 'MASTERS' }, { heading: '#NODES' }],
        rows.map((row) => [row.cluster, row.active ?? '', row.leader ?? '', row.managers?.join(',') ?? '', row.total === null ? '' : `${row.ready} / ${row.total}`]),
      ),
    );
  },
});
