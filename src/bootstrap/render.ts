/** Templates of `templates/`, filled in strictly: an unknown variable, an unused one or a value that could break out of its place is an error. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { assert } from '../errors.ts';
import { quoteWord } from '../ssh/quote.ts';

/** A value for `{{name}}`; numbers are written as digits. */
export type Variables = Readonly<Record<string, string | number>>;

const VARIABLE = /\{\{\s*([a-z][a-z0-9_]*)\s*\}\}/g;

/** A shell template: each value becomes one quoted word. Comment lines stay behind. */
export function renderShell(name: string, variables: Variables = {}): string {
  return fill(name, readTemplate(name).replaceAll(/^[ \t]*#(?!!).*\n/gm, ''), variables, quoteWord);
}

/** A file for the machine: values stand as they are, so they may not hold what could begin a new line. */
export function renderFile(name: string, variables: Variables = {}): string {
  return fill(name, readTemplate(name), variables, (value) => {
    assert(!/[\u0000-\u001f\u007f]/.test(value), `template ${name}: a value holds a control character`);
    return value;
  });
}

/** The text of a template, as it is in the package. */
export function readTemplate(name: string): string {
  const known = cache.get(name);
  if (known !== undefined) return known;
  const text = readFileSync(join(templateFolder(), name), 'utf8');
  cache.set(name, text);
  return text;
}

const cache = new Map<string, string>();

function fill(name: string, text: string, variables: Variables, write: (value: string) => string): string {
  const used = new Set<string>();
  const filled = text.replaceAll(VARIABLE, (_, key: string) => {
    const value = variables[key];
    assert(value !== undefined, `template ${name}: no value for {{${key}}}`);
    used.add(key);
    return write(String(value));
  });
  for (const key of Object.keys(variables)) assert(used.has(key), `template ${name} has no {{${key}}}`);
  return filled;
}

/** `templates/` of the clone, or the one that was packed beside the compiled code. */
function templateFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'templates/bootstrap'))) return join(folder, 'templates');
  }
  throw new Error('the folder templates/ is missing from this installation of belt');
}
