/** Where belt keeps things: the folder `.belt/`, looked for upward from where the operator stands, and the `.belt.yml` beside it or above. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { replaceFileSync } from './atomic-file.ts';

/** The cluster that is made where nothing is there yet. */
export const DEFAULT_CLUSTER = 'default';

const CLUSTER_NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
const PROJECT_FILES = ['.belt.yml', '.belt.yaml'] as const;

export interface Home {
  /** The `.belt` folder; it may not exist yet. */
  readonly folder: string;
  /** The project's configuration, null when there is none. */
  readonly projectFile: string | null;
}

/** What `.belt/current` says. */
export interface Current {
  readonly cluster: string;
  /** The machine that docker lines go to, by cluster. */
  readonly active: Readonly<Record<string, string>>;
}

const CurrentFile = v.object({ version: v.literal(1), cluster: v.string(), active: v.record(v.string(), v.string()) });

/** The nearest folder upward from `cwd` that has `.belt/` or `.belt.yml` is the project; with none, `cwd` itself. Throws `config` where a project has both spellings of its file. */
export function findHome(cwd: string): Home {
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    const isProject = isFolder(path.join(folder, '.belt')) || PROJECT_FILES.some((name) => existsSync(path.join(folder, name)));
    if (isProject) return { folder: path.join(folder, '.belt'), projectFile: findProjectFile(folder) };
    if (folder === path.dirname(folder)) return { folder: path.join(path.resolve(cwd), '.belt'), projectFile: null };
  }
}

function findProjectFile(from: string): string | null {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const found = PROJECT_FILES.map((name) => path.join(folder, name)).filter((file) => existsSync(file));
    if (found.length > 1) throw new BeltError('config', `${folder} has both .belt.yml and .belt.yaml`, { next: 'keep one of them' });
    if (found[0] !== undefined) return found[0];
    if (folder === path.dirname(folder)) return null;
  }
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Makes `.belt/` with a `.gitignore` that keeps all of it, keys among it, out of any repository. */
export function ensureHome(home: Home): void {
  mkdirSync(home.folder, { recursive: true, mode: 0o700 });
  const ignore = path.join(home.folder, '.gitignore');
  if (!existsSync(ignore)) replaceFileSync(ignore, '*\n');
}

/** The current cluster and active machines; `default` and none where nothing was chosen. Throws `state_damaged`. */
export function readCurrent(home: Home): Current {
  const file = path.join(home.folder, 'current');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { cluster: DEFAULT_CLUSTER, active: {} };
    throw error;
  }
  try {
    const { cluster, active } = v.parse(CurrentFile, JSON.parse(text));
    return { cluster, active };
  } catch (error) {
    throw new BeltError('state_damaged', `${file} cannot be read`, { cause: error, next: `rm ${file}, then: belt use CLUSTER` });
  }
}

export function writeCurrent(home: Home, current: Current): void {
  ensureHome(home);
  replaceFileSync(path.join(home.folder, 'current'), `${JSON.stringify({ version: 1, ...current })}\n`);
}

/** The names of the clusters here, sorted: the folders with a state file. */
export function listClusters(home: Home): string[] {
  if (!isFolder(home.folder)) return [];
  return readdirSync(home.folder).filter((name) => CLUSTER_NAME.test(name) && existsSync(path.join(home.folder, name, 'state.json'))).sort();
}

/** The folder of a cluster. Throws `usage` for a name that is none: it becomes a folder, a tag of clouds and part of certificates. */
export function clusterFolder(home: Home, name: string): string {
  if (!CLUSTER_NAME.test(name)) {
    throw new BeltError('usage', `'${name}' cannot be a cluster's name`, { next: 'use up to 40 lower-case letters, digits and "-", with a letter or digit at both ends' });
  }
  return path.join(home.folder, name);
}
