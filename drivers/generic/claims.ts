/**
 * Which cluster has which host. No cloud keeps tags for such hosts, so each claim is a small file under the user's state folder, named after
 * the host: made whole or not at all, and by one cluster only, whoever else asks at the same moment.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';

import { BeltError } from '../../src/errors.ts';
import { fanOut } from '../../src/provision/fan-out.ts';

const Claim = v.object({
  name: v.string(), cluster: v.string(), clusterId: v.string(), order: v.string(),
  address: v.string(), port: v.number(), user: v.string(), region: v.string(),
  privateAddress: v.nullable(v.string()), memoryMb: v.nullable(v.number()),
  tags: v.record(v.string(), v.string()), claimedAt: v.string(),
});
export type Claim = v.InferOutput<typeof Claim>;

/** Claims read at once. */
const READS = 64;

export class Claims {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Every claim, by host id. Throws `driver` for a file that is no claim. */
  async all(): Promise<Map<string, Claim>> {
    const files = (await this.#files()).filter((file) => file.endsWith('.json'));
    const claims = new Map<string, Claim>();
    const read = async (file: string): Promise<Claim[]> => {
      const claim = await this.#read(file);
      return claim === null ? [] : [claim];
    };
    for await (const claim of fanOut(files, READS, read)) claims.set(`${claim.address}:${claim.port}`, claim);
    return claims;
  }

  /** Claims the host, or says false when somebody has it. */
  async take(id: string, claim: Claim): Promise<boolean> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const prepared = join(this.#folder, `.${randomBytes(8).toString('hex')}`);
    await writeFile(prepared, `${JSON.stringify(claim)}\n`, { mode: 0o600, flush: true });
    try {
      await link(prepared, this.#file(id));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    } finally {
      await rm(prepared, { force: true });
    }
  }

  /** Gives the host back. */
  async release(id: string): Promise<void> {
    await rm(this.#file(id), { force: true });
  }

  #file(id: string): string {
    return join(this.#folder, `${id.replace(':', '_')}.json`);
  }

  async #files(): Promise<string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new BeltError('driver', `${this.#folder} cannot be read`, { cause: error, next: 'make it readable' });
    }
  }

  /** Null: given back since the folder was read. */
  async #read(file: string): Promise<Claim | null> {
    const path = join(this.#folder, file);
    try {
      return v.parse(Claim, JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new BeltError('driver', `${path} is damaged`, { cause: error, next: `remove it, then: belt doctor` });
    }
  }
}
