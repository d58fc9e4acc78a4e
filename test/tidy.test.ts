/** Style as a test: a rule worth stating is a line in test/tidy/rules.ts. Every rule is shown to find what it is for. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../src/errors.ts';
import { BOUNDED, boundedWaiting, exportsByName, fileLength, finished, functionLength, layers, lazyDrivers, naming, onlyImporters, printing, purity, readable, type Rule } from './tidy/rules.ts';
import { readSource } from './tidy/source.ts';

/** Files over 300 lines, with the lines they may have. The numbers may only shrink; a file that has become short leaves the list. */
const RATCHET: Readonly<Record<string, number>> = {
  'src/swarm-agent/agent.ts': 398,
  'src/swarm-agent/member/member.ts': 400,
  'src/swarm-agent/raft/types.ts': 381,
};

const read = (path: string): string => readFileSync(path, 'utf8');
const sources = globSync('{src,drivers}/**/*.ts').toSorted().map((path) => readSource(path, read(path)));
const tests = globSync('{test,bench}/**/*.ts').toSorted().map((path) => ({ path, text: read(path) }));

const RULES: Readonly<Record<string, Rule>> = {
  'every file can be read': readable,
  'imports run downward only': layers,
  'a package has one importer': onlyImporters,
  'drivers are loaded when they are used': lazyDrivers,
  'what decides is pure': purity,
  'only src/ui prints': printing,
  'waiting is bounded': boundedWaiting,
  'exports have names': exportsByName,
  'nothing is left to do in a comment': finished,
  'paths say one thing': naming,
  'functions are short': functionLength,
  'files are short': fileLength(RATCHET),
};

describe('sources', () => {
  it.each(Object.entries(RULES))('%s', (_name, rule) => {
    expect(sources.flatMap(rule)).toEqual([]);
  });

  it('no exemption outlives its reason', () => {
    const bare = sources.map((source) => ({ ...source, path: `src/exempt/${source.path}` }));
    const waiting = new Set(bare.flatMap(boundedWaiting).map((problem) => problem.slice('src/exempt/'.length, problem.indexOf(':'))));
    expect(Object.keys(BOUNDED).filter((path) => !waiting.has(path))).toEqual([]);
  });

  it('the ratchet holds no file that is gone or short', () => {
    const long = new Map(sources.map(({ path, lines }) => [path, lines]));
    expect(Object.keys(RATCHET).filter((path) => (long.get(path) ?? 0) <= 300)).toEqual([]);
  });
});

describe('tests', () => {
  it('none runs alone, and paths say one thing', () => {
    expect(tests.filter(({ text }) => /\b(it|test|describe)(\.\w+)*\.only\b/.test(text)).map(({ path }) => path)).toEqual([]);
    expect(tests.flatMap(({ path }) => naming(readSource(path, '')))).toEqual([]);
  });
});

describe('each rule finds what it is for', () => {
  const LONG = `function f() {\n${'  g();\n'.repeat(69)}}\n`;
  it.each<[Rule, string, string, string | null]>([
    [layers, 'src/range/a.ts', "import { x } from '../topology/b.ts';", 'src/range/a.ts: may not import src/topology/b.ts'],
    [layers, 'src/range/a.ts', "import type { X } from '../topology/b.ts';", 'src/range/a.ts: may not import src/topology/b.ts'],
    [layers, 'src/range/a.ts', "export { x } from '../topology/b.ts';", 'src/range/a.ts: may not import src/topology/b.ts'],
    [layers, 'src/range/a.ts', "import {\n  x,\n} from '../topology/b.ts';", 'src/range/a.ts: may not import src/topology/b.ts'],
    [layers, 'src/swarm/a.ts', "const x = await import('../cli/b.ts');", 'src/swarm/a.ts: may not import src/cli/b.ts'],
    [layers, 'src/swarm/a.ts', "import { x } from '../swarm-agent/api/calls.ts';\nimport { y } from '../certs/c.ts';\nimport { z } from './d.ts';", null],
    [layers, 'src/swarm/a.ts', "import { x } from '../swarm-agent/store/tables.ts';", 'src/swarm/a.ts: may not import src/swarm-agent/store/tables.ts'],
    [layers, 'src/swarm-agent/raft/a.ts', "import { x } from '../store/b.ts';", 'src/swarm-agent/raft/a.ts: may not import src/swarm-agent/store/b.ts'],
    [layers, 'drivers/ec2/a.ts', "import { x } from '../azure/b.ts';", 'drivers/ec2/a.ts: may not import drivers/azure/b.ts'],
    [layers, 'drivers/ec2/a.ts', "import { x } from './b.ts';\nimport { y } from '../../src/provision/driver.ts';", null],
    [layers, 'drivers/ec2/a.ts', "import { x } from '../../src/ssh/server.ts';", 'drivers/ec2/a.ts: may not import src/ssh/server.ts'],
    [layers, 'src/elsewhere/a.ts', '', 'src/elsewhere/a.ts: lies in no layer; give it one in test/tidy/rules.ts and docs/architecture.md'],
    [onlyImporters, 'src/swarm/a.ts', "import { Client } from 'ssh2';", 'src/swarm/a.ts: ssh2 is imported in src/ssh/ only'],
    [onlyImporters, 'src/swarm/a.ts', "import asn1 from 'node-forge/lib/asn1.js';", 'src/swarm/a.ts: node-forge/lib/asn1.js is imported in src/certs/ only'],
    [onlyImporters, 'drivers/ec2/a.ts', "const sdk = await import('@aws-sdk/client-ec2');", null],
    [lazyDrivers, 'src/provision/a.ts', "import { createDriver } from '../../drivers/ec2/driver.ts';", 'src/provision/a.ts: drivers/ec2/driver.ts is loaded with import() or as a type only'],
    [lazyDrivers, 'src/provision/a.ts', "import type { X } from '../../drivers/ec2/driver.ts';\nconst d = () => import('../../drivers/ec2/driver.ts');", null],
    [purity, 'src/range/a.ts', "import { readFileSync } from 'node:fs';", 'src/range/a.ts: is pure and may not import node:fs'],
    [purity, 'src/swarm-agent/raft/a.ts', 'const a = 1;\nconst now = Date.now();', 'src/swarm-agent/raft/a.ts:2: is pure and may not use Date.now'],
    [purity, 'src/topology/a.ts', 'export async function f() {}', 'src/topology/a.ts:1: is pure and may not use async'],
    [purity, 'src/topology/a.ts', "// Date.now\nconst a = 'Date.now'; const b = `Math.random ${a} process`;", null],
    [purity, 'src/swarm/a.ts', 'const now = Date.now();', null],
    [printing, 'src/swarm/a.ts', "console.log('x');", 'src/swarm/a.ts:1: may not print with console.log'],
    [printing, 'src/cli/a.ts', "process.stdout.write('x');", 'src/cli/a.ts:1: may not print with process.stdout.write'],
    [printing, 'src/ui/a.ts', "console.log('x');", null],
    [boundedWaiting, 'src/swarm/a.ts', 'await Promise.all(nodes.map(f));', 'src/swarm/a.ts:1: may not wait for any number of things at once: Promise.all('],
    [boundedWaiting, 'src/swarm/a.ts', 'await Promise.all([...nodes]);', 'src/swarm/a.ts:1: may not wait for any number of things at once: Promise.all('],
    [boundedWaiting, 'src/swarm/a.ts', 'await Promise.all([f(), g()]);', null],
    [exportsByName, 'src/swarm/a.ts', 'export default 1;', 'src/swarm/a.ts:1: may not have export default'],
    [finished, 'src/swarm/a.ts', '// TODO: later', 'src/swarm/a.ts: says TODO, FIXME or XXX'],
    [naming, 'src/swarm/string-utils.ts', '', 'src/swarm/string-utils.ts: a name says what is in it'],
    [naming, 'src/swarm/helpers/a.ts', '', 'src/swarm/helpers/a.ts: a name says what is in it'],
    [naming, 'src/swarm/joinNode.ts', '', 'src/swarm/joinNode.ts: is not in kebab-case'],
    [naming, 'src/swarm/index.ts', "export { join } from './join.ts';", 'src/swarm/index.ts: no barrel files'],
    [functionLength, 'src/swarm/a.ts', `\n${LONG}`, 'src/swarm/a.ts:2: a function of 71 lines, 70 at most'],
    [functionLength, 'src/swarm/a.ts', LONG.replace('  g();\n', ''), null],
    [functionLength, 'src/swarm/a.ts', `const f = (a: number): void => {\n${'  g();\n'.repeat(70)}};\n`, 'src/swarm/a.ts:1: a function of 72 lines, 70 at most'],
    [fileLength({}), 'src/swarm/a.ts', 'a;\n'.repeat(301), 'src/swarm/a.ts: 301 lines; a file has 300 at most, this one may have 300'],
    [fileLength({ 'src/swarm/a.ts': 310 }), 'src/swarm/a.ts', 'a;\n'.repeat(311), 'src/swarm/a.ts: 311 lines; a file has 300 at most, this one may have 310'],
    [fileLength({ 'src/swarm/a.ts': 500 }), 'src/swarm/a.ts', 'a;\n'.repeat(401), 'src/swarm/a.ts: 401 lines, 400 at most'],
    [fileLength({ 'src/swarm/a.ts': 310 }), 'src/swarm/a.ts', 'a;\n'.repeat(310), null],
    [readable, 'src/swarm/a.ts', 'const = 1;', 'src/swarm/a.ts: '],
  ])('%o in %s: %j', (rule, path, text, problem) => {
    const problems = rule(readSource(path, text));
    if (problem === null) expect(problems).toEqual([]);
    else expect(problems.map((one) => one.slice(0, problem.length))).toEqual([problem]);
  });
});

describe('docs', () => {
  it('docs/errors.md is the table of src/errors.ts', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `(\w+)` \| ([^|]+) \| (\d+) \| (yes|no) \| ([^|]+) \|$/gm)].map(([, code, meaning, exit, retryable]) => [code, meaning, Number(exit), retryable === 'yes']);
    expect(rows).toEqual(Object.entries(ERROR_CODES).map(([code, { meaning, exit, retryable }]) => [code, meaning, exit, retryable]));
  });

  it('links lead somewhere', () => {
    const dead = globSync('{*.md,docs/*.md}').flatMap((path) =>
      [...read(path).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)].map(([, target]) => posix.join(posix.dirname(path), target as string)).filter((target) => !existsSync(target)).map((target) => `${path}: ${target}`),
    );
    expect(dead).toEqual([]);
  });
});
