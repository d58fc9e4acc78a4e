/** `belt cluster new NAME`: a cluster with its CA, keys and configuration; it becomes the current one. */
import { existsSync, readFileSync } from 'node:fs';

import { BeltError } from '../../errors.ts';
import { clusterExists, clusterFiles, viewCluster } from '../../inventory/cluster.ts';
import { replaceFileSync } from '../../inventory/atomic-file.ts';
import { readCurrent, writeCurrent } from '../../inventory/home.ts';
import { editConfig } from '../../inventory/config-edit.ts';
import { defineCommand } from '../command.ts';
import { newCluster } from '../new-cluster.ts';

export const command = defineCommand({
  positionals: { name: 'one' },
  options: { define: { type: 'array', string: true, describe: 'a key of the configuration, KEY=VALUE; may be repeated', requiresArg: true, default: [] as string[] } },
  examples: ['belt cluster new --driver digitalocean swarm2k', 'belt cluster new prod --define region=sgp1 --define ssh_user=debian'],
  async run(ctx, args) {
    const assignments = [...(ctx.flags.driver === undefined ? [] : [`driver=${ctx.flags.driver}`]), ...args.define];
    const files = clusterFiles(ctx.home, args.name);
    // Read and refuse first: a cluster with a configuration that is wrong is not made.
    const before = existsSync(files.config) ? readFileSync(files.config, 'utf8') : '';
    const config = editConfig(before, assignments, await ctx.blocks());
    const settle = (): void => {
      if (config !== before && assignments.length > 0) replaceFileSync(files.config, config);
      writeCurrent(ctx.home, { ...readCurrent(ctx.home), cluster: args.name });
    };
    if (clusterExists(ctx.home, args.name)) {
      viewCluster(ctx.home, args.name);
      if (config !== before && assignments.length > 0) throw new BeltError('usage', `there is a cluster '${args.name}' already, configured otherwise`, { next: `belt --cluster ${args.name} cluster update KEY=VALUE…` });
      settle();
      ctx.ui.report({ cluster: args.name, folder: files.folder }, (ui) => ui.line(`${args.name}: there already, left alone, and current`));
      return;
    }
    await newCluster(ctx.home, args.name, ctx.command, ctx.ports, settle);
    ctx.ui.report({ cluster: args.name, folder: files.folder }, (ui) => ui.line(`${args.name}: made, and current`));
  },
});
