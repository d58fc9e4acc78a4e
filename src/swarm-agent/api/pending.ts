/** Certificates this manager has signed and that are not in the state yet: kept on disk, so that what was signed without a quorum is recorded when it returns. */
import * as v from 'valibot';

import { readText, writeText } from '../identity/files.ts';

/** Most that are kept: beyond, the oldest are forgotten; they run out by themselves and their node stays revocable by name. */
const PENDING_MAX = 10_000;

export class PendingCertificates {
  readonly #path: string;
  #pems: string[];

  constructor(path: string) {
    this.#path = path;
    const outcome = v.safeParse(v.array(v.string()), parse(readText(path) ?? '[]'));
    this.#pems = outcome.success ? outcome.output : [];
  }

  get first(): string | undefined {
    return this.#pems[0];
  }

  get count(): number {
    return this.#pems.length;
  }

  add(pem: string): void {
    this.#pems = [...this.#pems, pem].slice(-PENDING_MAX);
    this.#save();
  }

  remove(pem: string): void {
    this.#pems = this.#pems.filter((kept) => kept !== pem);
    this.#save();
  }

  #save(): void {
    writeText(this.#path, JSON.stringify(this.#pems), { synced: false });
  }
}

/** A torn or damaged file is no reason to stop: what it held is only a record of certificates that run out by themselves. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return [];
  }
}
