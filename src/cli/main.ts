/** The process `belt`: nothing but the compile cache, which must be there before anything that is to come out of it is loaded. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
// What is published is minified; where stack traces are asked for they name the sources.
if (process.argv.includes('--debug')) process.setSourceMapsEnabled(true);
void import('./process.ts').then(({ main }) => main());
