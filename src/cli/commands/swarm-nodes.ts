/** `belt swarm nodes`: every node, as the cluster knows it now or last knew it. */
import { listNodes, type NodeRow } from '../../swarm/nodes.ts';
import type { Column } from '../../ui/table.ts';
import { defineCommand } from '../command.ts';
import { withSwarm } from '../swarm-access.ts';

const COLUMNS: readonly Column[] = [
  { heading: 'NAME' }, { heading: 'ROLE' }, { heading: 'STATUS' }, { heading: 'AVAILABILITY' }, { heading: 'MANAGER STATUS' }, { heading: 'DATACENTER' }, { heading: 'ENGINE' }, { heading: 'LABELS' },
];

export const command = defineCommand({
  positionals: {},
  options: {},
  examples: ['belt swarm nodes', 'belt swarm nodes --json'],
  async run(ctx) {
    const { nodes, stale } = await withSwarm(ctx, ctx.cluster(), listNodes);
    ctx.ui.report(nodes.map(document), (ui) => ui.table(COLUMNS, nodes.map(row)));
    if (stale === null) return;
    ctx.ui.warn(`this is the last known state${stale.asOf === null ? '' : ` (${stale.asOf})`}, not how it is now`);
    throw stale.error;
  },
});

function document(node: NodeRow) {
  const { name, id, dockerId, role, status, availability, managerStatus, datacenter, labels, engine, agentVersion } = node;
  return { name, id, dockerId, role, status, availability, managerStatus, datacenter, labels, engine, agentVersion };
}

function row(node: NodeRow): string[] {
  const labels = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`).join(',');
  const role = node.becoming === null || node.becoming === node.role ? node.role : `${node.role} → ${node.becoming}`;
  return [node.name, role, node.status, node.availability, node.managerStatus ?? '', node.datacenter, node.engine, labels];
}
