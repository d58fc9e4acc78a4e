/** `belt cluster config`: every key in force and where it comes from; secrets show only that they are there. */
import { defineCommand } from '../command.ts';

const SECRET = /token|secret|password|passphrase|access_key/;

export const command = defineCommand({
  positionals: {},
  options: {},
  async run(ctx) {
    const settings = await ctx.settings();
    const rows: { key: string; value: unknown; source: string }[] = [{ key: 'driver', value: settings.driver, source: settings.driverSource }];
    const add = (key: string, value: unknown, source: string): void => void rows.push({ key, value: SECRET.test(key) ? '(set)' : value, source });
    for (const [key, sourced] of Object.entries(settings.top)) if (key !== 'driver' && sourced !== undefined) add(key, sourced.value, sourced.source);
    const given = settings.blocks[settings.driver] ?? {};
    for (const [key, value] of Object.entries(await ctx.driverOptions(settings.driver, settings))) {
      const source = given[key]?.source ?? settings.top[key as keyof typeof settings.top]?.source ?? 'default';
      if (value !== undefined) add(`${settings.driver}.${key}`, value, source);
    }
    ctx.ui.report({ cluster: ctx.clusterName, settings: rows }, (ui) =>
      ui.table([{ heading: 'KEY' }, { heading: 'VALUE' }, { heading: 'FROM' }], rows.map((row) => [row.key, typeof row.value === 'string' ? row.value : JSON.stringify(row.value), row.source])),
    );
  },
});
