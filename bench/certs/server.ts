/** belt's CA behind the same HTTP call as `cfssl serve`, so that both are asked by the same client. Prints its port. */
import { createServer } from 'node:http';
import { createAuthority, signCsr } from '../../src/certs/authority.ts';

const nowMs = Date.now();
const authority = createAuthority('0123456789abcdef0123456789abcdef', nowMs);
let count = 0;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { certificate_request: csr, hosts } = JSON.parse(Buffer.concat(chunks).toString()) as { certificate_request: string; hosts: string[] };
    const { certificate } = signCsr(authority, csr, { cluster: authority.cluster, role: 'worker', name: `node${count++}` }, { hosts, nowMs });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ success: true, result: { certificate } }));
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (server.address() as { port: number }).port, ca: authority.certificate }));
});
