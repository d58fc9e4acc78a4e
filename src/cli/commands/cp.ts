/** `belt cp FILE RANGE:PATH`, `belt cp NAME:PATH FILE`: one file to many machines, or from one. */
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { BeltError } from '../../errors.ts';
import { runAll } from '../../provision/run-all.ts';
import type { SshConnection } from '../../ssh/client.ts';
import { quoteWord } from '../../ssh/quote.ts';
import { defineCommand } from '../command.ts';
import { reportOutcomes } from '../power.ts';
import { readRanges, requireMachines } from '../ranges.ts';
import { RemoteAccess } from '../remote.ts';

/** Machines written to at once; more only share the same uplink. */
const AT_ONCE = 20;

export const command = defineCommand({
  positionals: { source: 'one', target: 'one' },
  options: {},
  examples: ["belt cp motd 'node[1:4]:/etc/motd'", 'belt cp node1:/var/log/syslog syslog'],
  async run(ctx, args) {
    const from = remotePath(args.source);
    const to = remotePath(args.target);
    if ((from === null) === (to === null)) throw new BeltError('usage', 'one side is a machine, the other a file here', { next: "belt cp FILE 'RANGE:PATH', or belt cp NAME:PATH FILE" });
    const { ranges, file } = (from ?? to) as RemotePath;
    const names = readRanges(ctx, [ranges]);
    if (from !== null && names.length > 1) throw new BeltError('usage', `'${ranges}' names ${names.length} machines; a file comes from one`, { next: 'belt cp NAME:PATH FILE' });
    const local = path.resolve(ctx.ports.cwd, from === null ? args.source : args.target);
    const mode = from === null ? localMode(local, args.source) : 0;
    const cluster = ctx.cluster();
    const machines = await requireMachines(ctx, cluster, names);
    const access = new RemoteAccess(ctx, cluster);
    const outcomes = await ctx.ui.progress('copying', machines.length, (report) =>
      runAll(machines, async (machine, signal): Promise<void> => {
        await using connection = await access.connect(machine, signal);
        if (from === null) await upload(connection, local, file.endsWith('/') ? file + path.basename(local) : file, mode, signal);
        else await download(connection, file, isFolder(local) ? path.join(local, path.basename(file)) : local, signal);
      }, { limit: AT_ONCE, signal: ctx.signal, nameOf: (machine) => machine.name, onDone: (_, done, failed) => report({ done, failed }) }));
    await access.pinNewKeys();
    ctx.signal.throwIfAborted();
    reportOutcomes(ctx, outcomes, 'copied');
  },
});

interface RemotePath {
  readonly ranges: string;
  readonly file: string;
}

/** `RANGE:PATH`; null for a file here. A colon within brackets belongs to the range, one after a slash or at the start to a file's name. */
function remotePath(text: string): RemotePath | null {
  const match = /^((?:[^:/[\]]|\[[^\]]*\])+):(.+)$/.exec(text);
  return match === null ? null : { ranges: match[1] ?? '', file: match[2] ?? '' };
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}

function localMode(file: string, shown: string): number {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new BeltError('usage', `there is no file ${shown}`);
  if (!stat.isFile()) throw new BeltError('usage', `${shown} is not a plain file`, { next: 'pack a folder first: tar -cf FOLDER.tar FOLDER' });
  return stat.mode & 0o777;
}

/** The file is whole on the other side or not there: written beside, then renamed. */
async function upload(connection: SshConnection, local: string, remote: string, mode: number, signal: AbortSignal): Promise<void> {
  const target = quoteWord(remote);
  // The shell's own number keeps two copies apart where machines share a folder.
  const beside = `${quoteWord(`${remote}.belt-cp-`)}"$$"`;
  const line = `umask 077; [ ! -d ${target} ] || { echo 'is a folder; end the path with /' >&2; exit 1; }; cat > ${beside} && chmod ${mode.toString(8)} -- ${beside} && mv -f -- ${beside} ${target}`;
  const { code, stderr } = await connection.exec(line, { stdin: createReadStream(local), signal });
  if (code !== 0) throw new BeltError('remote_command', `${remote}: ${stderr.trim() || `exit ${code}`}`, { machine: connection.machine });
}

/** As the upload: whole or not at all, and open to nobody here who may not read it there. The name beside is nobody's to guess and must be new, for the folder may be anybody's. */
async function download(connection: SshConnection, remote: string, local: string, signal: AbortSignal): Promise<void> {
  const mode = await remoteMode(connection, remote, signal);
  const stream = await connection.stream(`cat -- ${quoteWord(remote)}`, { signal });
  stream.stdin.end();
  const beside = `${local}.belt-cp-${randomBytes(6).toString('hex')}`;
  let complaint = '';
  stream.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, 1000)));
  try {
    const file = createWriteStream(beside, { flags: 'wx', mode });
    // A full disk or a missing folder here: without the hang-up the command over there waits for a reader for good.
    file.once('error', () => stream.close());
    await pipeline(stream.stdout, file);
    const { code } = await stream.exit;
    if (code !== 0) throw new BeltError('remote_command', `${remote}: ${complaint.trim() || `exit ${code}`}`, { machine: connection.machine });
    renameSync(beside, local);
  } finally {
    rmSync(beside, { force: true });
  }
}

/** The file's mode over there; the strictest where the machine cannot tell. */
async function remoteMode(connection: SshConnection, remote: string, signal: AbortSignal): Promise<number> {
  const { code, stdout } = await connection.exec(`stat -L -c %a -- ${quoteWord(remote)}`, { signal });
  return code === 0 && /^[0-7]{1,4}\n$/.test(stdout) ? Number.parseInt(stdout, 8) & 0o777 : 0o600;
}
