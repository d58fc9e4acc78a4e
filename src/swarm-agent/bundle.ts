/** The agent as one file, `dist/belt-agent.mjs`: built from the sources when they are here and newer, as published otherwise. Operator's side only. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { BeltError } from '../errors.ts';

export interface AgentBundle {
  readonly path: string;
  /** Lower-case hex: what a machine compares before it replaces its agent. */
  readonly sha256: string;
  readonly version: string;
}

/** The most an agent may weigh, bytes. */
export const BUNDLE_BYTES_MAX = 1_500_000;

/** Packages that the agent has no use for, native parts among them: dockerode needs ssh2 for `ssh://` hosts, the others to build images. */
const LEFT_OUT = ['ssh2', 'docker-modem/lib/ssh', 'cpu-features', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'tar-fs', '@balena/dockerignore'];

const here = dirname(fileURLToPath(import.meta.url));
let known: Promise<AgentBundle> | null = null;

/** The bundle, built when it is missing or older than a source. Once per process. Throws `BeltError('failed')` where it cannot be built. */
export function agentBundle(): Promise<AgentBundle> {
  known ??= produce();
  return known;
}

async function produce(): Promise<AgentBundle> {
  const root = packageRoot();
  const path = join(root, 'dist/belt-agent.mjs');
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const fromSources = import.meta.url.endsWith('.ts');
  if (fromSources && (await isStale(path, root))) await build(root, path, version);
  if (!existsSync(path)) throw new BeltError('failed', `${path} is missing`, { next: 'npm run build' });
  return { path, sha256: createHash('sha256').update(await readFile(path)).digest('hex'), version };
}

/** Upwards to the folder with belt's package.json: the clone's, or the installed package's. */
function packageRoot(): string {
  for (let folder = here; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === 'belt') return folder;
  }
  throw new BeltError('failed', `no package.json of belt above ${here}`);
}

async function isStale(path: string, root: string): Promise<boolean> {
  if (!existsSync(path)) return true;
  const built = (await stat(path)).mtimeMs;
  const sources = [join(root, 'package-lock.json'), join(root, 'src/errors.ts')];
  for (const folder of ['src/swarm-agent', 'src/certs', 'src/topology']) {
    if (!existsSync(join(root, folder))) continue;
    for (const name of await readdir(join(root, folder), { recursive: true })) if (name.endsWith('.ts')) sources.push(join(root, folder, name));
  }
  for (const source of sources) if ((await stat(source)).mtimeMs > built) return true;
  return false;
}

async function build(root: string, path: string, version: string): Promise<void> {
  const esbuild = await import('esbuild').catch((error: unknown) => {
    throw new BeltError('failed', 'the agent’s bundle is not built and esbuild is not installed', { cause: error, next: 'npm ci' });
  });
  const result = await esbuild.build({
    entryPoints: [join(root, 'src/swarm-agent/main.ts')], bundle: true, write: false, platform: 'node', target: 'node24', format: 'esm', minify: true, keepNames: true,
    legalComments: 'none', define: { BELT_VERSION: JSON.stringify(version) }, logLevel: 'silent',
    // Packages written for require() find one in an ES module.
    banner: { js: "import{createRequire as __beltRequire}from'node:module';const require=__beltRequire(import.meta.url);" },
    plugins: [{
      name: 'left-out',
      setup: (builder) => {
        builder.onResolve({ filter: new RegExp(`(^|/)(${LEFT_OUT.join('|')}|ssh)$`) }, ({ path: name, importer }) =>
          LEFT_OUT.includes(name) || importer.includes('docker-modem') ? { path: name, namespace: 'left-out' } : undefined);
        builder.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
      },
    }],
  });
  const [output] = result.outputFiles;
  if (output === undefined) throw new BeltError('failed', 'esbuild made no file');
  await mkdir(dirname(path), { recursive: true });
  // Two belts may build at once: each writes its own file and renames it, the last one wins with the same bytes.
  const aside = `${path}.${process.pid}`;
  await writeFile(aside, output.contents);
  await rename(aside, path);
}
