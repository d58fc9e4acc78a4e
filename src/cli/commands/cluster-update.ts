/** `belt cluster update KEY=VALUE…`: changes the configuration of the current cluster; `KEY=` removes a key. */
import { existsSync, readFileSync } from 'node:fs';

import { replaceFileSync } from '../../inventory/atomic-file.ts';
import { editConfig } from '../../inventory/config-edit.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  positionals: { assignments: 'many' },
  options: {},
  examples: ['belt cluster update region=sgp1', 'belt cluster update ec2.disk_gb=40 image='],
  async run(ctx, args) {
    const blocks = await ctx.blocks();
    editConfig('', args.assignments, blocks);
    await ctx.change(async ({ files }) => {
      replaceFileSync(files.config, editConfig(existsSync(files.config) ? readFileSync(files.config, 'utf8') : '', args.assignments, blocks));
    });
    ctx.ui.report({ cluster: ctx.clusterName, updated: args.assignments.map((text) => text.split('=')[0]) }, (ui) => args.assignments.forEach((text) => ui.line(`${ctx.clusterName}: ${text.split('=')[0]} set`)));
  },
});
