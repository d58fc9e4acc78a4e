/**
 * The configuration in force: flags over environment over the cluster's file over the project's file. Every mistake of every source is found
 * before anything is reported, each with file and line.
 */
import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import type { ConfigFile } from './config-file.ts';
import { complaint, type ConfigProblem, problemLines } from './config-problem.ts';

const Name = v.pipe(v.string(), v.minLength(1, 'must not be empty'));
const Region = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9-]+)?(,[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9-]+)?)*$/, 'must be regions such as sgp1 or sgp1,nyc3'));

const HOUR_MS = 3_600_000;

/** `12h`, `30d` → ms; NaN for anything else. */
export function lifetimeMs(text: string): number {
  const [, count, unit] = /^(\d{1,4})([hd])$/.exec(text) ?? [];
  return Number(count ?? Number.NaN) * (unit === 'd' ? 24 * HOUR_MS : HOUR_MS);
}

function withinLifetimes(text: string): boolean {
  const ms = lifetimeMs(text);
  return ms >= HOUR_MS && ms <= 90 * 24 * HOUR_MS;
}

/** Keys outside the drivers' blocks. `region`, `image`, `ssh_user` and `ssh_key_fingerprint` apply to the driver unless its block says otherwise. */
export const TOP_LEVEL = {
  driver: Name,
  region: Region,
  image: Name,
  ssh_user: v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be a user name such as root')),
  ssh_key_fingerprint: Name,
  /** Public key lines that may log in besides the cluster's own. */
  ssh_keys: v.array(v.pipe(v.string(), v.regex(/^(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+( .*)?$/, 'must be an OpenSSH public key line'))),
  /** Machines worked on at once over SSH. */
  concurrency: v.pipe(v.number(), v.integer(), v.minValue(1, 'must be 1 to 1000'), v.maxValue(1000, 'must be 1 to 1000')),
  /** What bootstrap makes run containers: Docker Engine (the default where the machine can have one), or nothing. */
  engine: v.picklist(['docker', 'none'], 'must be docker or none'),
  /** Debian's version of docker.io, or the VERSION of the script below. */
  engine_version: v.pipe(v.string(), v.regex(/^[A-Za-z0-9.+:~-]{1,64}$/, 'must be a version such as 20.10.24+dfsg1-1')),
  /** A script that installs Docker Engine instead of the machine's package manager. */
  engine_install_url: v.pipe(v.string(), v.regex(/^https?:\/\/[^\s'"]+$/, 'must be an http or https URL')),
  /** How long the certificates of nodes live; they are renewed at half of it. Bootstrap tells the managers, which sign. */
  certificate_lifetime: v.pipe(v.string(), v.check((text) => withinLifetimes(text), 'must be 1h to 90d, such as 12h or 30d')),
  /** Raft's limits on managers where they are not the defaults; bootstrap tells the agents. Names and ranges are checked by them who know Raft. */
  raft: v.array(v.pipe(v.string(), v.regex(/^[a-z][A-Za-z]{0,40}=\d{1,12}$/, 'must be NAME=NUMBER such as electionMsMin=300'))),
} as const;
export type TopLevelKey = keyof typeof TOP_LEVEL;

/** What a driver says about its block: the schema of `drivers/<name>/options.ts` and the environment variables its users have already. */
export interface DriverBlock {
  readonly name: string;
  readonly schema: v.StrictObjectSchema<v.ObjectEntries, undefined>;
  readonly environment: Readonly<Record<string, readonly string[]>>;
}

/** One value and where it came from, for `belt cluster config` and for messages. */
export interface Sourced {
  readonly value: unknown;
  readonly source: string;
}

export interface Settings {
  /** The driver of new machines; `local` where nothing names one. */
  readonly driver: string;
  readonly driverSource: string;
  readonly top: Readonly<Partial<Record<TopLevelKey, Sourced>>>;
  /** The given keys of each driver's block, defaults not filled in. */
  readonly blocks: Readonly<Record<string, Readonly<Record<string, Sourced>>>>;
}

export interface SettingsSources {
  /** Top-level keys given on the command line. */
  readonly flags: Readonly<Partial<Record<TopLevelKey, string>>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clusterFile: ConfigFile | null;
  readonly projectFile: ConfigFile | null;
}

export const DEFAULT_DRIVER = 'local';

/** `text` as `schema` wants it: the text itself, else what YAML makes of it, else a comma-separated list; or what is wrong with the nearest of them. */
export function coerce(schema: v.GenericSchema, text: string, parseYaml: (text: string) => unknown): { ok: true; value: unknown } | { ok: false; message: string } {
  const direct = v.safeParse(schema, text);
  if (direct.success) return { ok: true, value: direct.output };
  let issue = direct.issues[0];
  for (const candidate of [yamlOrText(text, parseYaml), text.split(',').map((item) => item.trim())]) {
    const result = v.safeParse(schema, candidate);
    if (result.success) return { ok: true, value: result.output };
    // Of the right type and still wrong: that says more than the type.
    if (result.typed) issue = result.issues[0];
  }
  return { ok: false, message: complaint(issue) };
}

function yamlOrText(text: string, parseYaml: (text: string) => unknown): unknown {
  try {
    return parseYaml(text);
  } catch {
    return text;
  }
}

/** The variable that gives a key beside those its users have already: `BELT_REGION`, `BELT_EC2_REGION`. */
export function variableName(key: string, block?: string): string {
  return `BELT_${block === undefined ? '' : `${block}_`}${key}`.toUpperCase();
}

/** `config-file.ts`, which is loaded only where something is written in YAML: its parser is a third of all the code that a list needs. */
export type YamlReader = Pick<typeof import('./config-file.ts'), 'parseYaml' | 'readConfigFile'>;

/** Reads all sources. Null where YAML has to be read and `yaml` is null. Throws `config` with every problem of every source. */
export function resolveSettings(sources: SettingsSources, drivers: readonly DriverBlock[], yaml: YamlReader): Settings;
export function resolveSettings(sources: SettingsSources, drivers: readonly DriverBlock[], yaml: YamlReader | null): Settings | null;
export function resolveSettings(sources: SettingsSources, drivers: readonly DriverBlock[], yaml: YamlReader | null): Settings | null {
  let unread = false;
  const parseYaml = yaml?.parseYaml ?? ((text: string) => ((unread = true), text));
  const problems: ConfigProblem[] = [];
  const top: Partial<Record<string, Sourced>> = {};
  const blocks: Record<string, Record<string, Sourced>> = Object.fromEntries(drivers.map((driver) => [driver.name, {}]));
  for (const file of [sources.projectFile, sources.clusterFile]) {
    if (file === null) continue;
    if (yaml === null) return null;
    layFile(yaml, file, drivers, top, blocks, problems);
  }
  layEnvironment(sources.env, drivers, top, blocks, problems, parseYaml);
  for (const [key, text] of Object.entries(sources.flags)) {
    if (text !== undefined) layText(top, key, text, TOP_LEVEL[key as TopLevelKey], `--${key.replaceAll('_', '-')}`, problems, parseYaml);
  }
  if (unread) return null;
  const known = drivers.map((driver) => driver.name);
  const chosen = top['driver'];
  if (chosen !== undefined && !known.includes(String(chosen.value))) {
    problems.push({ place: chosen.source, message: `there is no driver '${String(chosen.value)}'; there are ${known.join(', ')}` });
  }
  if (problems.length > 0) throw configError(problems);
  return { driver: String(chosen?.value ?? DEFAULT_DRIVER), driverSource: chosen?.source ?? 'default', top, blocks };
}

export function configError(problems: readonly ConfigProblem[]): BeltError {
  const lines = problemLines(problems);
  const text = lines.length === 1 ? (lines[0] ?? '') : `${lines.length} mistakes in the configuration:\n${lines.map((line) => `  ${line}`).join('\n')}`;
  return new BeltError('config', text, { next: 'correct it; .belt.yml.example shows every key' });
}

type Blocks = Record<string, Record<string, Sourced>>;

function layFile(
  yaml: YamlReader, file: ConfigFile, drivers: readonly DriverBlock[], top: Partial<Record<string, Sourced>>, blocks: Blocks, problems: ConfigProblem[],
): void {
  const read = yaml.readConfigFile(file, TOP_LEVEL, Object.fromEntries(drivers.map((driver) => [driver.name, driver.schema.entries as Record<string, v.GenericSchema>])));
  problems.push(...read.problems);
  for (const entry of read.values) {
    const sourced = { value: entry.value, source: entry.place };
    if (entry.block === null) {
      top[entry.key] = sourced;
      // A nearer file's top-level key wins over a farther file's block.
      for (const block of Object.values(blocks)) if (block[entry.key] !== undefined && block[entry.key]?.source.startsWith(`${file.name}:`) !== true) delete block[entry.key];
    } else {
      (blocks[entry.block] ??= {})[entry.key] = sourced;
    }
  }
}

function layEnvironment(
  env: SettingsSources['env'], drivers: readonly DriverBlock[], top: Partial<Record<string, Sourced>>, blocks: Blocks, problems: ConfigProblem[], parseYaml: (text: string) => unknown,
): void {
  for (const driver of drivers) {
    const block = (blocks[driver.name] ??= {});
    for (const [key, schema] of Object.entries(driver.schema.entries)) {
      const names = [variableName(key, driver.name), ...(driver.environment[key] ?? [])];
      const name = names.find((candidate) => env[candidate] !== undefined && env[candidate] !== '');
      if (name !== undefined) layText(block, key, env[name] ?? '', schema as v.GenericSchema, `$${name}`, problems, parseYaml);
    }
  }
  for (const [key, schema] of Object.entries(TOP_LEVEL)) {
    const text = env[variableName(key)];
    if (text === undefined || text === '') continue;
    layText(top, key, text, schema, `$${variableName(key)}`, problems, parseYaml);
    for (const block of Object.values(blocks)) if (block[key]?.source.startsWith('$') === false) delete block[key];
  }
}

function layText(target: Partial<Record<string, Sourced>>, key: string, text: string, schema: v.GenericSchema, source: string, problems: ConfigProblem[], parseYaml: (text: string) => unknown): void {
  const result = coerce(schema, text, parseYaml);
  if (result.ok) target[key] = { value: result.value, source };
  else problems.push({ place: source, message: `${key}: ${result.message}` });
}

/** The block of `driver` with the top-level keys that apply to it and its defaults. Throws `config`. */
export function driverOptions(settings: Settings, driver: DriverBlock): Record<string, unknown> {
  const given = settings.blocks[driver.name] ?? {};
  const input: Record<string, unknown> = {};
  for (const key of Object.keys(driver.schema.entries)) {
    const flag = settings.top[key as TopLevelKey];
    const fromFlag = flag?.source.startsWith('--') === true ? flag : undefined;
    const sourced = fromFlag ?? given[key] ?? (key === 'region' || key === 'image' || key === 'ssh_user' || key === 'ssh_key_fingerprint' ? flag : undefined);
    // A list of regions deals machines out; the driver's own region is the first.
    if (sourced !== undefined) input[key] = key === 'region' ? String(sourced.value).split(/[,/]/)[0] : sourced.value;
  }
  const result = v.safeParse(driver.schema, input);
  if (result.success) return result.output;
  throw configError(result.issues.map((issue) => ({ place: `${driver.name}.${v.getDotPath(issue) ?? ''}`, message: complaint(issue) })));
}
