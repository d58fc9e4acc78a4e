/** Whether what this machine sends by TCP comes through: what a firewall drops is told from a port where nobody listens. */
import { connect } from 'node:net';

/** Until an address that says nothing counts as cut off, ms: two lost packets (sent again after 1 s and 2 s more) are none of a firewall. */
export const REACH_MS = 4_000;

export interface Unreached {
  readonly address: string;
  readonly why: string;
}

/** Those of the addresses (`host:port`, an IPv6 host in brackets) that cannot be reached within {@link REACH_MS}, all tried at once, in the order given. */
export async function unreached(addresses: readonly string[], timeoutMs = REACH_MS): Promise<Unreached[]> {
  const reasons = await Promise.all(addresses.map((address) => whyNot(address, timeoutMs)));
  return addresses.flatMap((address, index) => (reasons[index] == null ? [] : [{ address, why: reasons[index] }]));
}

/** Null when the other end answers, be it that nobody listens there. */
function whyNot(address: string, timeoutMs: number): Promise<string | null> {
  const colon = address.lastIndexOf(':');
  return new Promise((resolve) => {
    const socket = connect({ host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) });
    const end = (why: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => end(`no answer in ${timeoutMs / 1000} s`), timeoutMs);
    socket.once('connect', () => end(null));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? null : (error.code ?? error.message)));
  });
}
