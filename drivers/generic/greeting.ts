/** Whether a host is up: it greets as SSH servers do (RFC 4253, 4.2). Nothing is sent. */
import { connect } from 'node:net';

/** A busy sshd drops connections at random (MaxStartups): a connection that ends without a greeting is tried again so often. */
const ATTEMPTS = 3;
/** A server may send other lines before its greeting; more than this is no SSH server, bytes. */
const GREETING_MAX = 8 * 1024;

/** What a host said: a greeting, or why there was none, as part of a sentence. */
export type Greeting = { readonly isUp: true } | { readonly isUp: false; readonly why: string };

/** Waits for the greeting of `address:port`, each try `timeoutMs` at most. Rejects only when the signal fires, with its reason. */
export async function greet(address: string, port: number, timeoutMs: number, signal: AbortSignal): Promise<Greeting> {
  let last: Greeting = { isUp: false, why: 'was not asked' };
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    signal.throwIfAborted();
    last = await greetOnce(address, port, timeoutMs, signal);
    if (last.isUp || last.why !== HUNG_UP) return last;
  }
  return last;
}

const HUNG_UP = 'hangs up without an SSH greeting';

function greetOnce(address: string, port: number, timeoutMs: number, signal: AbortSignal): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    let heard = '';
    const timer = setTimeout(() => end({ isUp: false, why: `says nothing for ${timeoutMs / 1000} s` }), timeoutMs);
    const aborted = (): void => {
      close();
      reject(signal.reason as Error);
    };
    const close = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      socket.destroy();
    };
    const end = (greeting: Greeting): void => {
      close();
      resolve(greeting);
    };
    signal.addEventListener('abort', aborted, { once: true });
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      heard += text;
      if (/^SSH-/m.test(heard)) end({ isUp: true });
      else if (heard.length > GREETING_MAX) end({ isUp: false, why: 'is no SSH server' });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => end({ isUp: false, why: whyOf(error.code) }));
    socket.on('close', () => end({ isUp: false, why: HUNG_UP }));
  });
}

function whyOf(code: string | undefined): string {
  if (code === 'ECONNREFUSED') return 'refuses the connection';
  if (code === 'ECONNRESET' || code === 'EPIPE') return HUNG_UP;
  return code === 'EHOSTUNREACH' || code === 'ENETUNREACH' ? 'is on a network that cannot be reached' : `does not answer (${code ?? 'unknown'})`;
}
