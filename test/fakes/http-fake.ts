/**
 * The HTTP side every fake cloud shares: one server on loopback, faults, a count of calls by operation, and no knowledge of any cloud.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { FaultPlan, type FakeCall } from './fault-plan.ts';

export interface FakeRequest extends FakeCall {
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface FakeReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What a cloud's own part of a fake does. */
export interface FakeService {
  /** The operation's name for a call, before it is handled. */
  nameOf(request: Omit<FakeRequest, 'name'>): string;
  handle(request: FakeRequest): FakeReply | Promise<FakeReply>;
}

/** A running fake. `calls` counts calls by operation, those that met a fault included. */
export interface RunningFake {
  readonly url: string;
  readonly port: number;
  readonly faults: FaultPlan;
  readonly calls: Map<string, number>;
  close(): Promise<void>;
}

/** Starts `service` on 127.0.0.1; with `tls` it speaks https. */
export async function startFake(service: FakeService, tls?: { key: string; cert: string }): Promise<RunningFake> {
  const faults = new FaultPlan();
  const calls = new Map<string, number>();
  const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    void serve(service, faults, calls, req, res);
  };
  const server: Server = tls ? createTlsServer(tls, onRequest) : createServer(onRequest);
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    faults,
    calls,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(service: FakeService, faults: FaultPlan, calls: Map<string, number>, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of req) chunks.push(chunk as Buffer);
  } catch {
    return; // The caller went away while it was sending.
  }
  const url = new URL(req.url ?? '/', 'http://fake');
  const bare = { method: req.method ?? 'GET', path: url.pathname, query: url.searchParams, headers: req.headers, body: Buffer.concat(chunks) };
  const name = service.nameOf(bare);
  const request: FakeRequest = { ...bare, name };
  calls.set(name, (calls.get(name) ?? 0) + 1);
  const fault = faults.take(request);
  if (fault?.kind === 'refused') return void req.socket.destroy();
  if (fault?.kind === 'answer') return answer(res, { status: fault.status, headers: fault.headers ?? {}, body: fault.body ?? '' });
  const reply = await handle(service, request);
  if (fault?.kind === 'lost-reply') return void req.socket.destroy();
  if (fault?.kind === 'garbage') return answer(res, { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>502 Bad Gateway</html>' });
  if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
  answer(res, reply);
}

async function handle(service: FakeService, request: FakeRequest): Promise<FakeReply> {
  try {
    return await service.handle(request);
  } catch (error) {
    // A fault of the fake itself must be seen in the test's output, not taken for the cloud's.
    return { status: 599, headers: { 'x-fake-broken': '1' }, body: `the fake broke: ${(error as Error).stack}` };
  }
}

function answer(res: ServerResponse, reply: FakeReply): void {
  if (res.destroyed) return;
  res.writeHead(reply.status, { ...reply.headers });
  res.end(reply.body ?? '');
}
