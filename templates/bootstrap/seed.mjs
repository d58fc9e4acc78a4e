// Serves one file under one path that nobody can guess to the other machines of a datacenter, while bootstrap's conversation with this one lasts.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';

const [file, address, list] = process.argv.slice(2);
const ports = list.split(' ');
const path = `/${process.env.BELT_SEED_PATH}`;
/** The conversation's shell: its end is ours, for the port is Docker's. */
const conversation = `/proc/${process.env['BELT_SEED_WHILE']}`;

const server = createServer((request, response) => {
  if (request.method !== 'GET' || request.url !== path) return void response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': statSync(file).size, connection: 'close' });
  const stream = createReadStream(file);
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
});

/** The first free one of the ports that are open between members. */
function listen() {
  const port = Number(ports.shift() ?? 0);
  server.once('error', () => (port === 0 ? process.exit(1) : listen()));
  server.listen(port, address, () => process.stdout.write(`belt: seeding ${server.address().port}\n`));
}
listen();
setInterval(() => existsSync(conversation) || process.exit(0), 100);
