/** One YAML file of configuration, checked key by key with the line of each mistake. */
import * as v from 'valibot';
import { isMap, isScalar, LineCounter, type Pair, parse, parseDocument, type YAMLMap } from 'yaml';

import { closest } from './closest.ts';
import { complaint, type ConfigProblem } from './config-problem.ts';

export interface ConfigFile {
  /** As shown in messages. */
  readonly name: string;
  readonly content: string;
}

export interface ConfigValue {
  /** The driver's block it stands in, null at the top. */
  readonly block: string | null;
  readonly key: string;
  readonly value: unknown;
  readonly place: string;
}

type Schemas = Readonly<Record<string, v.GenericSchema>>;

/** The values of the file that are right, and everything that is wrong with the rest. */
export function readConfigFile(file: ConfigFile, top: Schemas, blocks: Readonly<Record<string, Schemas>>): { values: ConfigValue[]; problems: ConfigProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(file.content, { lineCounter: lines, uniqueKeys: true });
  const at = (offset: number | undefined): string => `${file.name}:${lines.linePos(offset ?? 0).line}`;
  const problems: ConfigProblem[] = document.errors.map((error) => ({ place: at(error.pos[0]), message: error.message.split(/ at line \d|:\n/)[0] ?? error.code }));
  const values: ConfigValue[] = [];
  if (problems.length > 0 || document.contents === null) return { values, problems };
  if (!isMap(document.contents)) return { values, problems: [{ place: at(0), message: 'must be keys with values, such as driver: local' }] };
  const visit = (map: YAMLMap, block: string | null, schemas: Schemas): void => {
    for (const pair of map.items as Pair[]) {
      const key = isScalar(pair.key) ? String(pair.key.value) : '';
      const place = at(isScalar(pair.key) ? pair.key.range?.[0] : undefined);
      const inner = block === null ? blocks[key] : undefined;
      if (inner !== undefined) {
        if (isMap(pair.value)) visit(pair.value, key, inner);
        else if (!(isScalar(pair.value) && pair.value.value === null)) problems.push({ place, message: `${key}: must be a block of keys` });
        continue;
      }
      const schema = schemas[key];
      if (schema === undefined) problems.push({ place, message: `${block === null ? '' : `${block}.`}${key}: ${noSuchKey(key, [...Object.keys(schemas), ...(block === null ? Object.keys(blocks) : [])])}` });
      else check(schema, block, key, toPlain(pair.value), place);
    }
  };
  const check = (schema: v.GenericSchema, block: string | null, key: string, value: unknown, place: string): void => {
    const result = v.safeParse(schema, value);
    if (result.success) values.push({ block, key, value: result.output, place });
    else problems.push(...result.issues.map((issue) => ({ place, message: `${[block, key, v.getDotPath(issue)].filter((part) => part !== null).join('.')}: ${complaint(issue)}` })));
  };
  visit(document.contents, null, top);
  return { values, problems };
}

/** One value, as it may stand in a variable or after a key. Throws what the parser throws. */
export function parseYaml(text: string): unknown {
  return parse(text) as unknown;
}

/** A key that nobody knows, with the one that may have been meant. */
export function noSuchKey(key: string, known: readonly string[]): string {
  const near = closest(key, known);
  return `there is no such key${near === null ? '' : `; did you mean ${near}?`}`;
}

function toPlain(node: unknown): unknown {
  return typeof node === 'object' && node !== null && 'toJSON' in node ? (node as { toJSON(): unknown }).toJSON() : node;
}
