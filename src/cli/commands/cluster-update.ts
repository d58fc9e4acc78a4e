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
    const already = await ctx.change(async ({ files }) => {
      const before = existsSync(files.config) ? readFileSync(files.config, 'utf8') : '';
      const after = editConfig(before, args.assignments, blocks);
      if (after !== before) replaceFileSync(files.config, after);
      return after === before;
    });
    ctx.ui.report({ cluster: ctx.clusterName, updated: already ? [] : args.assignments.map((text) => text.split('=')[0]) }, (ui) => {
      if (already) return ui.line(`${ctx.clusterName}: configured so already`);
      for (const [key, value] of args.assignments.map((text) => text.split('=', 2))) ui.line(`${ctx.clusterName}: ${key} ${value === '' ? 'removed' : 'set'}`);
    });
  },
});
