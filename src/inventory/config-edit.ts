/** Changes of a configuration file by `KEY=VALUE`; comments and order of the file stay. */
import { type Document, isMap, parseDocument } from 'yaml';
import type * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { parseYaml } from './config-file.ts';
import type { ConfigProblem } from './config-problem.ts';
import { coerce, configError, type DriverBlock, TOP_LEVEL } from './settings.ts';

/**
 * `content` with the assignments made. Keys are `region` or `ec2.region`; `KEY=` removes one. Throws `usage` for what is no assignment and
 * `config` with every key and value that is wrong, or when `content` itself cannot be read.
 */
export function editConfig(content: string, assignments: readonly string[], blocks: readonly DriverBlock[]): string {
  const document = parseDocument(content);
  checkShape(document);
  const problems: ConfigProblem[] = [];
  for (const assignment of assignments) {
    const equals = assignment.indexOf('=');
    if (equals < 1) throw new BeltError('usage', `'${assignment}' is no KEY=VALUE`, { next: 'write, for example, region=sgp1' });
    const key = assignment.slice(0, equals);
    const text = assignment.slice(equals + 1);
    const path = key.split('.');
    const schema = schemaOf(path, blocks);
    if (schema === null) problems.push({ place: assignment, message: `there is no key '${key}'` });
    else if (text === '') {
      if (document.hasIn(path)) document.deleteIn(path);
    }
    else {
      const result = coerce(schema, text, parseYaml);
      if (!result.ok) problems.push({ place: assignment, message: result.message });
      else {
        // `ec2: 7` is no block; a key within it makes it one.
        if (path.length > 1 && document.has(path[0]) && !isMap(document.get(path[0]))) document.delete(path[0]);
        document.setIn(path, result.value);
      }
    }
    if (key === 'driver' && text !== '' && !blocks.some((block) => block.name === text)) {
      problems.push({ place: assignment, message: `there is no driver '${text}'; there are ${blocks.map((block) => block.name).join(', ')}` });
    }
  }
  if (problems.length > 0) throw configError(problems);
  return document.contents === null ? content : document.toString();
}

function checkShape(document: Document.Parsed): void {
  const [error] = document.errors;
  const place = `config.yml:${error?.linePos?.[0].line ?? 1}`;
  if (error !== undefined) throw configError([{ place, message: error.message.split(/ at line \d|:\n/)[0] ?? error.code }]);
  if (document.contents !== null && !isMap(document.contents)) throw configError([{ place, message: 'must be keys with values, such as driver: local' }]);
}

function schemaOf(path: readonly string[], blocks: readonly DriverBlock[]): v.GenericSchema | null {
  const [first = '', second, ...more] = path;
  if (more.length > 0) return null;
  if (second === undefined) return Object.hasOwn(TOP_LEVEL, first) ? TOP_LEVEL[first as keyof typeof TOP_LEVEL] : null;
  const entries = blocks.find((block) => block.name === first)?.schema.entries;
  return entries !== undefined && Object.hasOwn(entries, second) ? (entries[second] as v.GenericSchema) : null;
}
