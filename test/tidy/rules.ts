/** The rules of style that a test can hold: each takes sources and returns what is wrong, one sentence a finding. */
import type { Import, Source } from './source.ts';

export type Rule = (source: Source) => string[];

/** Lines of a file: over the first it must stand in the ratchet, over the second never. */
export const FILE_LINES = { soft: 300, hard: 400 } as const;
/** Lines of a function, never more. */
export const FUNCTION_LINES_MAX = 70;

/** What the agent lets the operator's side see. */
const AGENT_SEAM = ['src/swarm-agent/api/backup.ts', 'src/swarm-agent/api/calls.ts', 'src/swarm-agent/api/client.ts', 'src/swarm-agent/transport/frames.ts', 'src/swarm-agent/identity/config.ts', 'src/swarm-agent/bundle.ts'];
const LOW = ['src/errors.ts', 'src/range/', 'src/topology/'];
const MIDDLE = [...LOW, 'src/certs/', 'src/ssh/', 'src/inventory/'];
const DRIVER = ['src/errors.ts', 'src/provision/driver.ts', 'src/provision/parts.ts', 'src/provision/snapshots.ts', 'src/provision/sizes.ts', 'src/provision/rate-limit.ts', 'src/provision/retry.ts', 'src/provision/poll.ts', 'src/provision/fan-out.ts', 'src/provision/run-all.ts', 'src/provision/name-runs.ts'];

/**
 * Who may import whom (docs/architecture.md, "Layers"): the first entry that a path starts with counts. Files of the same folder see each other.
 * `provision/driver.ts` holds the words for machines and `provision/fan-out.ts` the sliding window; both know nothing of ours but errors.
 */
const LAYERS: readonly (readonly [folder: string, allowed: readonly string[]])[] = [
  ['src/errors.ts', []],
  ['src/range/', ['src/errors.ts']],
  ['src/topology/', ['src/errors.ts']],
  ['src/certs/', ['src/errors.ts']],
  ['src/ssh/', LOW],
  ['src/inventory/', [...LOW, 'src/certs/', 'src/provision/driver.ts']],
  ['src/bootstrap/', [...MIDDLE, 'src/provision/driver.ts', 'src/provision/fan-out.ts', 'src/provision/run-all.ts', ...AGENT_SEAM]],
  ['src/provision/', [...MIDDLE, 'src/bootstrap/', 'drivers/registry.ts']],
  ['src/swarm-agent/raft/', ['src/errors.ts']],
  ['src/swarm-agent/', ['src/errors.ts', 'src/certs/', 'src/topology/']],
  ['src/swarm/', [...MIDDLE, 'src/bootstrap/', 'src/provision/', ...AGENT_SEAM]],
  ['src/ui/', LOW],
  ['src/cli/', [...MIDDLE, 'src/bootstrap/', 'src/provision/', 'src/swarm/', 'src/ui/', 'drivers/registry.ts', ...AGENT_SEAM]],
  // The one file that names all drivers, each behind an import() of its own.
  ['drivers/registry.ts', ['src/errors.ts', 'src/inventory/', 'src/provision/driver.ts', 'src/provision/parts.ts', 'src/provision/snapshots.ts', 'src/provision/sizes.ts', 'src/provision/rate-limit.ts', 'drivers/']],
  ['drivers/local/', [...DRIVER, 'src/ssh/server.ts', 'src/ssh/lines.ts']],
  ['drivers/', DRIVER],
];

/** The one folder that may import a package. */
const ONLY_IMPORTER: readonly (readonly [packages: RegExp, folder: string])[] = [
  [/^ssh2$/, 'src/ssh/'],
  [/^node-forge(\/|$)/, 'src/certs/'],
  [/^listr2$/, 'src/ui/'],
  [/^yargs(\/|$)/, 'src/cli/'],
  [/^@aws-sdk\//, 'drivers/ec2/'],
  [/^@azure\//, 'drivers/azure/'],
  [/^do-wrapper$/, 'drivers/digitalocean/'],
];

/** Decides and does nothing else: no I/O, no clock, no chance, no waiting. */
const PURE = /^src\/(range|topology|swarm-agent\/raft)\/|^src\/certs\/(renewal|rotation)\.ts$/;
const IMPURE = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bset(Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bperformance\b|\bprocess\b|\bcrypto\b|\basync\b|\bawait\b|\bPromise\b/;

export const folderOf = (path: string): string => (path.startsWith('drivers/') ? path.split('/').slice(0, 2).join('/') : path.slice(0, path.lastIndexOf('/')));

/** Imports run downward only. */
export const layers: Rule = ({ path, imports }) => {
  const layer = LAYERS.find(([folder]) => path.startsWith(folder));
  if (layer === undefined) return [`${path}: lies in no layer; give it one in test/tidy/rules.ts and docs/architecture.md`];
  const [folder, allowed] = layer;
  const home = folder === 'drivers/' ? `${folderOf(path)}/` : folder;
  return imports.filter(({ ours, target }) => ours && !target.startsWith(home) && !allowed.some((one) => target.startsWith(one))).map(({ target }) => `${path}: may not import ${target}`);
};

/** A package with a home is imported nowhere else. */
export const onlyImporters: Rule = ({ path, imports }) =>
  imports.flatMap(({ target, ours }) => ONLY_IMPORTER.filter(([packages, folder]) => !ours && packages.test(target) && !path.startsWith(folder)).map(([, folder]) => `${path}: ${target} is imported in ${folder} only`));

/** A driver, with its cloud's SDK, is loaded when it is used. */
export const lazyDrivers: Rule = ({ path, imports }) => {
  const eager = ({ target, ours, lazy, typeOnly }: Import): boolean => ours && !lazy && !typeOnly && /^drivers\/[^/]+\//.test(target) && folderOf(target) !== folderOf(path);
  return imports.filter(eager).map(({ target }) => `${path}: ${target} is loaded with import() or as a type only`);
};

/** Pure folders stay pure. */
export const purity: Rule = ({ path, imports, code }) => {
  if (!PURE.test(path)) return [];
  const packages = imports.filter(({ ours }) => !ours).map(({ target }) => `${path}: is pure and may not import ${target}`);
  return [...packages, ...found(path, code, IMPURE, 'is pure and may not use')];
};

/** Programs of their own, whose output is a log or an answer to the one who started them: the agent, and the host of `local`'s machines. */
const PROGRAMS = ['src/swarm-agent/main.ts', 'drivers/local/host.ts', 'drivers/local/machines.ts'];

/** Only `src/ui` prints. */
export const printing: Rule = ({ path, code }) =>
  path.startsWith('src/ui/') || PROGRAMS.includes(path) ? [] : found(path, code, /\bconsole\.\w+|\bprocess\.std(out|err)\.write\b/, 'may not print with');

/** Where a number of things at once is waited for that the line itself does not show, and what bounds it. */
export const BOUNDED: Readonly<Record<string, string>> = {
  'src/provision/fan-out.ts': 'the sliding window itself',
  'src/provision/run-all.ts': 'the sliding window itself',
  'drivers/docker/window.ts': 'a sliding window',
  'drivers/docker/image.ts': 'one file',
  'drivers/registry.ts': 'the drivers there are',
  'src/swarm-agent/api/route.ts': 'the managers of a swarm',
  'src/swarm-agent/left-behind.ts': 'the managers of a swarm',
  'src/swarm-agent/engine/desk.ts': 'a slice of fixed size',
  'src/swarm-agent/transport/reach.ts': 'as many addresses as one call takes',
};

/** Nothing waits on as many things at once as there happen to be; an array written out has a length that a reader sees. */
export const boundedWaiting: Rule = ({ path, code }) =>
  path in BOUNDED ? [] : found(path, code, /\bPromise\.(all|allSettled|any)\((?!\s*\[(?!\.\.\.))/, 'may not wait for any number of things at once:');

export const exportsByName: Rule = ({ path, code }) => found(path, code, /^export default\b/m, 'may not have');

export const finished: Rule = ({ path, text }) => (/\b(TODO|FIXME|XXX)\b/.test(text) ? [`${path}: says TODO, FIXME or XXX`] : []);

/** A path says one thing in kebab-case. */
export const naming: Rule = ({ path, text }) => {
  const problems: string[] = [];
  if (!/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.(d|test|suite|e2e|large))?\.ts$/.test(path)) problems.push(`${path}: is not in kebab-case`);
  if (/(^|[/-])(utils?|helpers?|common|misc)([-./]|$)/.test(path)) problems.push(`${path}: a name says what is in it`);
  if (path.endsWith('/index.ts') && /^export\b[^=;]*\bfrom\b/m.test(text)) problems.push(`${path}: no barrel files`);
  return problems;
};

export const functionLength: Rule = ({ path, functions }) =>
  functions.filter(({ lines }) => lines > FUNCTION_LINES_MAX).map(({ line, lines }) => `${path}:${line}: a function of ${lines} lines, ${FUNCTION_LINES_MAX} at most`);

/** `ratchet`: files that were too long when the rule came, with the lines they had; the numbers may only shrink. */
export function fileLength(ratchet: Readonly<Record<string, number>>): Rule {
  return ({ path, lines }) => {
    if (lines > FILE_LINES.hard) return [`${path}: ${lines} lines, ${FILE_LINES.hard} at most`];
    const allowed = ratchet[path] ?? FILE_LINES.soft;
    return lines > allowed ? [`${path}: ${lines} lines; a file has ${FILE_LINES.soft} at most, this one may have ${allowed}`] : [];
  };
}

export const readable: Rule = ({ path, broken }) => (broken === null ? [] : [`${path}: ${broken}`]);

function found(path: string, code: string, pattern: RegExp, what: string): string[] {
  return [...code.matchAll(new RegExp(pattern, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`))].map((match) => `${path}:${code.slice(0, match.index).split('\n').length}: ${what} ${match[0].trim()}`);
}
