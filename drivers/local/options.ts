/** Configuration of the `local` driver: nothing is needed. */
import { homedir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import * as v from 'valibot';

export const LocalOptions = v.strictObject({
  /** Folder of all machines of this user. Default: BELT_LOCAL_HOME, else `belt/local` in the user's state folder. */
  home: v.optional(v.pipe(v.string(), v.nonEmpty())),
  /** Port every machine's SSH listens on, each on its own address. */
  ssh_port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1024), v.maxValue(65_535)), 2222),
});

export type LocalOptions = v.InferOutput<typeof LocalOptions>;

/** Longest path of the home folder: a Unix socket's path has 108 bytes on Linux and `/host.sock` is one of ours. */
export const MAX_HOME_BYTES = 90;

/** Absolute home folder of the options in this environment. */
export function localHome(options: Pick<LocalOptions, 'home'>, env: Readonly<Record<string, string | undefined>>): string {
  const given = options.home ?? env['BELT_LOCAL_HOME'];
  if (given !== undefined && given !== '') return resolve(given);
  return join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'belt', 'local');
}

/** The user that machines let in: the one that runs them. */
export function localUser(): string {
  return userInfo().username;
}
