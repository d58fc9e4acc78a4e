/**
 * `npm run build`: what is published. `dist/belt.cjs` is the CLI's start and `dist/lib/belt.cjs` all the rest of it in one file, in which a command
 * or driver is evaluated when it is used: a start costs by the files it opens more than by their size, and less as CommonJS. `dist/lib/host.js` is
 * the host process of the local driver; `dist/belt-agent.mjs` the agent. SDKs and packages with native parts stay packages.
 */
import { readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build, type BuildOptions, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (name: string): string => path.join(root, name);

/** yargs measures its help with tables of all of Unicode, whose regular expressions cost a third of a start; belt's help is plain text. */
const plainWidth: Plugin = {
  name: 'plain-width',
  setup(builder) {
    const ofHelp = ({ importer, namespace }: { importer: string; namespace: string }): boolean => namespace === 'plain-wrap' || /node_modules\/(yargs|cliui)\//.test(importer);
    builder.onResolve({ filter: /^string-width$/ }, (from) => (ofHelp(from) ? { path: 'string-width', namespace: 'plain-width' } : undefined));
    builder.onLoad({ filter: /.*/, namespace: 'plain-width' }, () => ({ contents: 'export default (text) => text.length;', loader: 'js' }));
    // What wraps the help measures too; what else wraps (listr2) keeps its own.
    builder.onResolve({ filter: /^wrap-ansi$/ }, async (from) => {
      if (!ofHelp(from) || from.pluginData === plainWidth) return undefined;
      const { path: file } = await builder.resolve(from.path, { kind: from.kind, resolveDir: from.resolveDir, importer: from.importer, pluginData: plainWidth });
      return { path: file, namespace: 'plain-wrap' };
    });
    builder.onLoad({ filter: /.*/, namespace: 'plain-wrap' }, async ({ path: file }) => ({ contents: await readFile(file, 'utf8'), resolveDir: path.dirname(file), loader: 'js' }));
  },
};

/** The start loads the rest by a name of its own, and by require(). */
const restApart: Plugin = {
  name: 'rest-apart',
  setup: (builder) => builder.onResolve({ filter: /^\.\/process\.ts$/ }, () => ({ path: './lib/belt.cjs', external: true })),
};

/** Large packages that few lines need, each a file of its own beside `dist/lib/belt.cjs`: what is not opened need not be compiled. */
const APART = ['yaml', 'listr2'];
const packagesApart: Plugin = {
  name: 'packages-apart',
  setup: (builder) => builder.onResolve({ filter: new RegExp(`^(${APART.join('|')})$`) }, ({ path: name, kind }) => (kind === 'entry-point' ? undefined : { path: `./${name}.cjs`, external: true })),
};

const common: BuildOptions = {
  absWorkingDir: root, bundle: true, platform: 'node', target: 'node24', minify: true, sourcemap: 'linked', sourcesContent: false, logLevel: 'warning',
  external: ['@aws-sdk/*', '@smithy/*', '@azure/*', 'do-wrapper', 'dockerode', 'ssh2', 'node-forge', 'esbuild'],
};
const commonJs: BuildOptions = {
  ...common, format: 'cjs', outExtension: { '.js': '.cjs' },
  define: { 'import.meta.url': '__beltUrl' }, banner: { js: "'use strict';const __beltUrl=require('node:url').pathToFileURL(__filename).href;" },
};

await rm(at('dist'), { recursive: true, force: true });
await Promise.all([
  build({ ...commonJs, entryPoints: { belt: 'src/cli/main.ts' }, outdir: 'dist', plugins: [restApart], supported: { 'dynamic-import': false } }),
  build({ ...commonJs, entryPoints: { belt: 'src/cli/process.ts' }, outdir: 'dist/lib', plugins: [plainWidth, packagesApart] }),
  build({ ...commonJs, entryPoints: Object.fromEntries(APART.map((name) => [name, name])), outdir: 'dist/lib' }),
  build({
    ...common, entryPoints: { host: 'drivers/local/host.ts' }, outdir: 'dist/lib', format: 'esm',
    // Packages written for require() find one in an ES module.
    banner: { js: "import{createRequire as __beltRequire}from'node:module';const require=__beltRequire(import.meta.url);" },
  }),
]);
const bundler = at('src/swarm-agent/bundle.ts');
if (existsSync(bundler) && existsSync(at('src/swarm-agent/main.ts'))) {
  const { agentBundle } = await import('../src/swarm-agent/bundle.ts');
  const { path: file } = await agentBundle();
  console.log(`built ${path.relative(root, file)}`);
}
console.log('built dist/belt.cjs');
