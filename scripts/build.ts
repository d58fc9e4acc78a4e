/**
 * `npm run build`: what is published. `dist/belt.js` is the CLI, split so that a command or driver is read when it is used; `dist/lib/` its parts
 * and the host process of the local driver; `dist/belt-agent.mjs` the agent. SDKs and packages with native parts stay packages; small ones that
 * most commands need are built in, because one file opens faster than fifty.
 */
import { rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (name: string): string => path.join(root, name);

await rm(at('dist'), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { belt: 'src/cli/main.ts', 'lib/host': 'drivers/local/host.ts' },
  outdir: 'dist',
  chunkNames: 'lib/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
  external: ['@aws-sdk/*', '@smithy/*', '@azure/*', 'do-wrapper', 'dockerode', 'ssh2', 'node-forge', 'esbuild'],
  // Packages written for require() find one in an ES module.
  plugins: [{
    // yargs measures its help with tables of all of Unicode, whose regular expressions cost a third of a start; belt's help is plain text.
    name: 'plain-width',
    setup: (builder) => {
      builder.onResolve({ filter: /^string-width$/ }, ({ importer }) => (/node_modules\/(yargs|cliui)\//.test(importer) ? { path: 'string-width', namespace: 'plain-width' } : undefined));
      builder.onLoad({ filter: /.*/, namespace: 'plain-width' }, () => ({ contents: 'export default (text) => text.length;', loader: 'js' }));
    },
  }],
  banner: { js: "import{createRequire as __beltRequire}from'node:module';const require=__beltRequire(import.meta.url);" },
});
const bundler = at('src/swarm-agent/bundle.ts');
if (existsSync(bundler) && existsSync(at('src/swarm-agent/main.ts'))) {
  const { agentBundle } = await import('../src/swarm-agent/bundle.ts');
  const { path: file } = await agentBundle();
  console.log(`built ${path.relative(root, file)}`);
}
console.log('built dist/belt.js');
