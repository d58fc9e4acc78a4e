/** `.belt.yml.example` is the reference of the configuration: it parses, it is complete, and the defaults it shows are the defaults. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';

import { driverBlocks } from '../../drivers/registry.ts';
import { readConfigFile } from '../../src/inventory/config-file.ts';
import { TOP_LEVEL } from '../../src/inventory/settings.ts';

const text = readFileSync(new URL('../../.belt.yml.example', import.meta.url), 'utf8');
/** `# Words` is a sentence and stays one; any other `#` hides a setting. */
const settings = text.split('\n').filter((line) => !/^# \S/.test(line)).map((line) => line.replace(/^#/, '')).join('\n');
const blocks = await driverBlocks();
const read = readConfigFile({ name: 'example', content: settings }, TOP_LEVEL, Object.fromEntries(blocks.map(({ name, schema }) => [name, schema.entries as Record<string, v.GenericSchema>])));
const valueOf = (block: string | null, key: string): unknown => read.values.find((value) => value.block === block && value.key === key)?.value;

describe('.belt.yml.example', () => {
  it('sets nothing as it stands', () => {
    expect(readConfigFile({ name: 'example', content: text }, TOP_LEVEL, {})).toEqual({ values: [], problems: [] });
  });

  it('is right in every line, once the # are gone', () => {
    expect(read.problems).toEqual([]);
  });

  it('shows every key outside the blocks', () => {
    expect(Object.keys(TOP_LEVEL).filter((key) => valueOf(null, key) === undefined)).toEqual([]);
  });

  it.each(blocks.map((block) => [block.name, block] as const))('shows every key and variable of %s, and its defaults', (name, block) => {
    const keys = Object.keys(block.schema.entries);
    expect(keys.filter((key) => valueOf(name, key) === undefined)).toEqual([]);
    expect(Object.values(block.environment).flat().filter((variable) => !text.includes(`$${variable}`))).toEqual([]);
    const defaults = v.getDefaults(block.schema as never) as Record<string, unknown>;
    const given = Object.entries(defaults).filter(([key, value]) => value !== undefined && key !== 'hosts');
    expect(given.map(([key]) => [key, valueOf(name, key)])).toEqual(given);
  });
});
