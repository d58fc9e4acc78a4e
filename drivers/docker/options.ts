/** What `.belt.yml` may say under `docker:`. */
import * as v from 'valibot';

export const DockerOptions = v.strictObject({
  /** The engine that carries the machines: a local socket, because the machines' addresses exist only on its host. Default: DOCKER_HOST, else the usual socket. */
  host: v.optional(v.pipe(v.string(), v.regex(/^unix:\/\/\/.+/, 'must be a local socket such as unix:///var/run/docker.sock'))),
  /** Where cluster networks are cut from. The default is the block that RFC 2544 sets aside for tests, so that no office network is hidden by it. */
  subnet: v.optional(v.pipe(v.string(), v.regex(/^\d+\.\d+\.\d+\.\d+\/\d+$/, 'must be an IPv4 subnet such as 198.18.0.0/15')), '198.18.0.0/15'),
  /** How the machine image is made: `registry` (Dockerfile), `debootstrap` (Debian packages), `auto`: the first that can work here. */
  image_from: v.optional(v.picklist(['auto', 'registry', 'debootstrap']), 'auto'),
});
export type DockerOptions = v.InferOutput<typeof DockerOptions>;

const DEFAULT_SOCKET = '/var/run/docker.sock';

/** The path of the engine's socket, from the options, else DOCKER_HOST, else the usual place; null where DOCKER_HOST is not a local socket. */
export function socketPath(options: DockerOptions, env: Readonly<Record<string, string | undefined>>): string | null {
  const host = options.host ?? env['DOCKER_HOST'] ?? `unix://${DEFAULT_SOCKET}`;
  return host.startsWith('unix:///') ? host.slice('unix://'.length) : null;
}
