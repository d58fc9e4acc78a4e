/** What the rules of style look at: a source file, its imports, and its code without comments, strings and types. */
import { parse, type Node, type Options } from 'acorn';
import { stripTypeScriptTypes } from 'node:module';
import { posix } from 'node:path';

export interface Import {
  /** Path from the root of the checkout for our own files, the specifier itself for packages. */
  readonly target: string;
  readonly ours: boolean;
  /** `import()`: loaded when it is used. */
  readonly lazy: boolean;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
}

export interface FunctionSpan {
  readonly line: number;
  readonly lines: number;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** The code with types, comments and the insides of strings blanked: words found in it are meant. */
  readonly code: string;
  readonly functions: readonly FunctionSpan[];
  /** Why the file cannot be read as a module, null when it can. */
  readonly broken: string | null;
}

/** Reads a TypeScript file; `path` is relative to the root of the checkout. */
export function readSource(path: string, text: string): Source {
  const base = { path, text, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0), imports: importsOf(path, text) };
  if (path.endsWith('.d.ts')) return { ...base, code: '', functions: [], broken: null };
  try {
    const script = stripTypeScriptTypes(text);
    const blanked: [number, number][] = [];
    const options: Options = { ecmaVersion: 'latest', sourceType: 'module', locations: true, onComment: (_block, _text, start, end) => blanked.push([start, end]) };
    const functions: FunctionSpan[] = [];
    walk(parse(script, options), (node) => {
      if (node.type === 'Literal' && typeof (node as { value?: unknown }).value === 'string') blanked.push([node.start + 1, node.end - 1]);
      if (node.type === 'TemplateElement') blanked.push([node.start, node.end]);
      if (/Function/.test(node.type) && node.loc) functions.push({ line: node.loc.start.line, lines: node.loc.end.line - node.loc.start.line + 1 });
    });
    return { ...base, code: blank(script, blanked), functions, broken: null };
  } catch (error) {
    return { ...base, code: '', functions: [], broken: (error as Error).message };
  }
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const item of Array.isArray(value) ? value : [value]) if (typeof item === 'object' && item !== null && typeof (item as Node).type === 'string') walk(item as Node, visit);
  }
}

function blank(script: string, spans: readonly [number, number][]): string {
  const pieces: string[] = [];
  let at = 0;
  for (const [start, end] of spans.toSorted(([a], [b]) => a - b)) {
    if (start < at) continue;
    pieces.push(script.slice(at, start), script.slice(start, end).replace(/[^\n]/g, ' '));
    at = end;
  }
  return pieces.join('') + script.slice(at);
}

/** From the text itself, because stripping the types removes `import type` and layers hold for types too. */
function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, lazy: boolean, typeOnly: boolean): void => {
    const ours = specifier.startsWith('.');
    found.push({ target: ours ? posix.join(posix.dirname(path), specifier) : specifier, ours, lazy, typeOnly });
  };
  for (const [, clause = '', specifier] of text.matchAll(/^(?:import|export)\b([^'";]*?)\bfrom\s*'([^']+)'/gm)) add(specifier as string, false, /^\s+type\b/.test(clause));
  for (const [, specifier] of text.matchAll(/^import\s*'([^']+)'/gm)) add(specifier as string, false, false);
  // `import('x').T` in a type is erased; `await import('x')` and `() => import('x')` are not.
  for (const [, specifier, after] of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)(\.[A-Z])?/g)) add(specifier as string, true, after !== undefined);
  return found;
}
