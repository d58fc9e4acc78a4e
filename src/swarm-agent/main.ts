/**
 * The agent's program, `belt-agent.mjs`:
 *
 *     run            the daemon (until SIGTERM; SIGHUP reads key and certificate anew)
 *     install-ca     reads {certificate, key} on stdin: the CA of a first manager, before `node.init`
 *
 * `--root DIR` stands before all paths (the machine's folder on `local`).
 */
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import * as v from 'valibot';

import { loadAuthority } from '../certs/authority.ts';
import { splitPem } from '../certs/identity.ts';
import { LIFETIME_MS } from '../certs/profiles.ts';
import { BeltError, EXIT, asBeltError } from '../errors.ts';
import { Agent } from './agent.ts';
import { engineOf } from './engine/local.ts';
import { groupStarter, reformGroup } from './group.ts';
import { awaitCertificate, tellBootstrap } from './identity/await-certificate.ts';
import { AgentFiles, readText, writeText } from './identity/files.ts';
import { LogBuffer } from './log-buffer.ts';
import { systemClock } from './ports.ts';

declare const BELT_VERSION: string | undefined;

const InstalledCa = v.object({ certificate: v.string(), key: v.string() });

/** This release; from sources the one of package.json. */
function version(): string {
  if (typeof BELT_VERSION === 'string') return BELT_VERSION;
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}

function machineFacts() {
  const os = /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release') ?? '')?.[1] ?? platform();
  return {
    hostname: hostname(), os, kernel: release(), arch: arch(), cpus: cpus().length, memoryMb: Math.floor(totalmem() / 1_048_576), pid: process.pid, nodeVersion: process.version,
  };
}

function installCa(files: AgentFiles, text: string): void {
  const { certificate, key } = stdin(InstalledCa, text);
  loadAuthority(certificate, key);
  if (!splitPem(readText(files.paths.roots) ?? '').some((root) => root.trim() === certificate.trim())) throw new BeltError('certificate', 'the CA is not the one this machine trusts', { next: 'belt bootstrap' });
  writeText(files.paths.caKey, key);
}

/** When a process began, in clock ticks since boot; null where it is gone. With it a pid that was given out again is not taken for ours. */
function startTime(pid: number): string | null {
  const stat = Number.isInteger(pid) && pid > 1 ? readText(`/proc/${pid}/stat`) : null;
  return stat === null ? null : (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null);
}

function stdin<S extends v.GenericSchema>(schema: S, text: string): v.InferOutput<S> {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (error) {
    throw new BeltError('bad_request', 'what came on stdin is not what this command reads', { cause: error });
  }
}

/** Whoever is bootstrapping this machine waits for a word. */
function tellFailure(files: AgentFiles, error: unknown): void {
  tellBootstrap(files, `failed: ${asBeltError(error).message.split('\n')[0]?.slice(0, 300)}`);
}

async function run(files: AgentFiles, root: string): Promise<void> {
  const log = new LogBuffer((line) => process.stdout.write(`${line}\n`), () => new Date());
  const ending = new AbortController();
  let agent: Agent | null = null;
  const end = async (signal: string): Promise<void> => {
    log.add(`${signal}: stopping`);
    ending.abort();
    await agent?.stop();
    files.remove(files.paths.pid);
    process.exit(EXIT.done);
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void end(signal));
  process.on('SIGHUP', () => {
    log.add('SIGHUP: reading key, certificate and configuration');
    try {
      agent?.identity.reload();
    } catch (error) {
      // What was read before stays in force: an agent that ended over it could not be given better.
      log.add(asBeltError(error).message);
      return tellFailure(files, error);
    }
    void agent?.takeRole().then(() => tellBootstrap(files, 'ready'));
  });
  writeText(files.paths.pid, `${process.pid} ${startTime(process.pid) ?? ''}\n`);
  await awaitCertificate(files, ending.signal);
  agent = await Agent.start({
    files, clock: systemClock, random: Math.random, log: (line) => log.add(line), logTail: (lines) => log.tail(lines),
    engine: await engineOf(root, files.config().machine), startGroup: groupStarter(systemClock, Math.random), reformGroup,
    version: version(), machineFacts, lifetimeMs: files.config().certificateLifetimeMs ?? LIFETIME_MS.worker,
  });
  log.add(`belt-agent ${version()} of ${agent.identity.config.machine} on port ${agent.port}`);
  tellBootstrap(files, 'ready');
  // Now, because a machine's end is no clean one: the next agent of this host starts with what this one has compiled.
  flushCompileCache();
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { root: { type: 'string', default: '/' } }, allowPositionals: true });
  const root = values.root === '/' ? '' : values.root;
  const files = new AgentFiles(root);
  const read = (): string => readFileSync(0, 'utf8');
  switch (positionals[0]) {
    case 'run': return run(files, root).catch((error: unknown) => {
      tellFailure(files, error);
      throw error;
    });
    case 'install-ca': {
      installCa(files, read());
      return void process.stdout.write(`${JSON.stringify({ installed: 'ca' })}\n`);
    }
    case 'version': return void process.stdout.write(`${version()}\n`);
    default: throw new BeltError('usage', 'belt-agent run | install-ca | version [--root DIR]');
  }
}

main().catch((error: unknown) => {
  // Stopped while it waited for its certificate: whoever stopped it ends the process.
  if (error instanceof DOMException && error.name === 'AbortError') return;
  const failure = asBeltError(error);
  process.stderr.write(`${JSON.stringify(failure.toJSON())}\n`);
  process.exit(failure.code === 'failed' ? EXIT.failed : failure.exit);
});
