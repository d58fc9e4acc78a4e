import { describe, expect, it } from 'vitest';

import { ALL_COMMANDS } from '../../src/cli/commands.ts';
import { parseLine } from '../../src/cli/parse.ts';

describe('a line without a flag, which yargs does not see,', () => {
  it.each(ALL_COMMANDS.map((entry) => [entry.path, entry] as const))('is read as yargs reads it: belt %s', async (_path, entry) => {
    const { command } = await entry.load();
    const words = Object.values(command.positionals).flatMap((kind) => (kind === 'one' ? ['007'] : kind === 'optional' ? [] : ['1e3', 'a=b', 'node[1:2]']));
    const plain = await parseLine(entry, command, words, ['-x']);
    const { $0: _, ...args } = (await parseLine(entry, command, [...words, '--debug'], ['-x'])).args as Record<string, unknown>;
    expect({ ...plain.args, debug: true }).toEqual(args);
    expect(Object.keys(plain.args).sort()).toEqual(Object.keys(args).sort());
  });
});
