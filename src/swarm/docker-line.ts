/** What belt reads of a docker line before it goes through untouched: whether it forms or joins a swarm, and what it lacks for that. Pure. */
import { quoteCommand } from '../ssh/quote.ts';

/** Docker's own flags before the command, and those of `swarm init` and `swarm join`, that take the next word as their value. */
const VALUED = {
  docker: ['-H', '--host', '-l', '--log-level', '-c', '--context', '--config', '--tlscacert', '--tlscert', '--tlskey'],
  swarm: ['--token', '--advertise-addr', '--listen-addr', '--data-path-addr', '--data-path-port', '--availability', '--cert-expiry', '--default-addr-pool', '--default-addr-pool-mask-length',
    '--dispatcher-heartbeat', '--external-ca', '--max-snapshots', '--snapshot-interval', '--task-history-limit'],
} as const;

export interface SwarmLine {
  readonly verb: 'init' | 'join' | 'leave';
  /** Where the verb stands among the words. */
  readonly at: number;
  /** Names of the flags given, without values. */
  readonly flags: ReadonlySet<string>;
  /** `join`: the manager's `host:port` or host, null where it is missing. */
  readonly manager: string | null;
}

/** The swarm line that these words are, null for any other and for one that only asks for help. */
export function readSwarmLine(words: readonly string[]): SwarmLine | null {
  const swarm = nextPlain(words, 0, VALUED.docker);
  if (swarm === null || words[swarm] !== 'swarm') return null;
  const at = nextPlain(words, swarm + 1, []);
  const verb = at === null ? undefined : words[at];
  if (at === null || (verb !== 'init' && verb !== 'join' && verb !== 'leave')) return null;
  const rest = words.slice(at + 1);
  const flags = new Set(rest.filter((word) => word.startsWith('-')).map((word) => word.split('=')[0] ?? word));
  if (flags.has('--help') || flags.has('-h')) return null;
  const manager = nextPlain(rest, 0, VALUED.swarm);
  return { verb, at, flags, manager: verb === 'join' && manager !== null ? (rest[manager] ?? null) : null };
}

/** The index of the next word that is no flag and no flag's value. */
function nextPlain(words: readonly string[], from: number, valued: readonly string[]): number | null {
  for (let at = from; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (valued.includes(word)) at += 1;
    else if (!word.startsWith('-')) return at;
  }
  return null;
}

/** The machine's addresses, as far as they matter to `swarm init`. */
interface Addresses {
  readonly publicIpv4: string | null;
  readonly privateIpv4: string | null;
}

/** The address that `swarm init` or `join` lacks on a machine with more than one; null where docker finds it itself. */
export function missingAdvertise(line: SwarmLine, { publicIpv4, privateIpv4 }: Addresses): string | null {
  if (line.verb === 'leave' || line.flags.has('--advertise-addr')) return null;
  return publicIpv4 !== null && privateIpv4 !== null && publicIpv4 !== privateIpv4 ? privateIpv4 : null;
}

/** The words with `flag` and its value right after the verb. */
export function withFlag(words: readonly string[], line: SwarmLine, flag: string, value: string): string[] {
  return [...words.slice(0, line.at + 1), flag, value, ...words.slice(line.at + 1)];
}

/**
 * Shell text that runs docker with these words. `root`: as root, by sudo where the login is not. With `tokenAt` (the verb's index) a token is read from
 * the first line of stdin, so that it stands in no argument list on the way; what follows on stdin is docker's.
 */
export function remoteDocker(words: readonly string[], options: { readonly sudo: boolean; readonly tokenAt?: number | undefined }): string {
  const docker = options.sudo ? 'sudo -n docker' : 'docker';
  if (options.tokenAt === undefined) return `exec ${docker} ${quoteCommand(words)}`.trimEnd();
  const [before, after] = [words.slice(0, options.tokenAt + 1), words.slice(options.tokenAt + 1)];
  return `IFS= read -r token && exec ${docker} ${quoteCommand(before)} --token "$token" ${quoteCommand(after)}`.trimEnd();
}

/** The host of `host`, `host:port` or `[host]:port`. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
