/** A real runtime's way to a machine: from the seed of its datacenter, or from the operator, after which the machine may be the seed itself. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';

import type { Conversation } from './conversation.ts';
import { readTemplate, renderShell } from './render.ts';
import type { RuntimeArchive } from './runtime.ts';
import type { Seeds } from './seeds.ts';

export interface Delivery {
  readonly archive: RuntimeArchive;
  /** Machines of one place get it from one seed. */
  readonly place: string;
  /** Where the machine's neighbours reach it; null: it cannot be a seed. */
  readonly address: string | null;
  readonly signal: AbortSignal;
}

/** Milliseconds a transfer of the runtime may take. */
const TRANSFER_MS = 900_000;
/** Ports that are open between members anyway: Docker's own, which nobody uses before the swarm is formed; else any. */
const SEED_PORTS = '2377 7946 0';

/** Brings the runtime. True when the machine serves it to others now: the conversation must stay open until nobody needs it any more. */
export async function deliverRuntime(conversation: Conversation, seeds: Seeds, delivery: Delivery): Promise<boolean> {
  const { place, archive, signal } = delivery;
  const source = await seeds.claim(place);
  if (source.from === 'seed') {
    await conversation.send(renderShell('bootstrap/runtime-fetch.sh', { seed: source.seed.address, path: source.seed.path, archive_sha256: archive.archiveSha256, sha256: archive.sha256 }));
    if ((await until(conversation, ['done', 'unfetched'], signal)) === 'unfetched') await upload(conversation, archive, signal);
    return false;
  }
  let seed: { address: string; path: string } | null = null;
  try {
    await upload(conversation, archive, signal);
    if (source.share && delivery.address !== null) seed = await serve(conversation, delivery.address, signal);
    return seed !== null;
  } finally {
    seeds.opened(place, seed);
  }
}

async function upload(conversation: Conversation, archive: RuntimeArchive, signal: AbortSignal): Promise<void> {
  const { bytes, archiveSha256, sha256 } = archive;
  await conversation.send(renderShell('bootstrap/runtime-upload.sh', { length: bytes, archive_sha256: archiveSha256, sha256 }));
  for await (const chunk of createReadStream(archive.path, { highWaterMark: 262_144 })) {
    signal.throwIfAborted();
    await conversation.raw(chunk as Buffer);
  }
  await until(conversation, ['done'], signal);
}

async function serve(conversation: Conversation, host: string, signal: AbortSignal): Promise<{ address: string; path: string } | null> {
  const path = randomBytes(16).toString('hex');
  const program = Buffer.from(readTemplate('bootstrap/seed.mjs'));
  await conversation.send(renderShell('bootstrap/seed.sh', { length: program.length, path, address: host, ports: SEED_PORTS }), [program]);
  const said = await conversation.until(['seeding', 'unseeded'], 30_000, signal);
  return said.word === 'seeding' ? { address: `${host}:${said.rest}`, path } : null;
}

async function until(conversation: Conversation, words: readonly string[], signal: AbortSignal): Promise<string> {
  const said = await conversation.until(words, TRANSFER_MS, signal);
  return said.word;
}
