/**
 * What the operator's side remembers of agents, in `.belt/<cluster>/agents.json`: who the managers were, who led, whose key is pinned. A cache: it
 * makes commands quick and lets an expired server certificate be believed when its key is the known one; without it everything is found again.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';

import { BeltError } from '../errors.ts';
import { replaceFileSync } from '../inventory/atomic-file.ts';

const Book = v.object({
  version: v.literal(1),
  managers: v.array(v.object({ name: v.string(), id: v.string(), address: v.string() })),
  /** Name of the manager that led when last asked. */
  leader: v.nullable(v.string()),
  /** SHA-256 (hex) of each agent's public key, by machine. */
  keys: v.record(v.string(), v.string()),
  /** When the certificate that bootstrap gave runs out, ISO 8601, by machine. */
  expires: v.record(v.string(), v.string()),
});
type Book = v.InferOutput<typeof Book>;
export type KnownManager = Book['managers'][number];

const EMPTY: Book = { version: 1, managers: [], leader: null, keys: {}, expires: {} };

export class AgentBook {
  readonly #file: string;
  #book: Book;

  /** Reads the file; a missing one is an empty book. Throws `state_damaged`, `state_newer`, `disk`. */
  constructor(file: string) {
    this.#file = file;
    this.#book = read(file);
  }

  get managers(): readonly KnownManager[] {
    return this.#book.managers;
  }
  get leader(): string | null {
    return this.#book.leader;
  }
  /** The pinned key of a machine's agent, undefined where none is known. */
  keyOf(machine: string): string | undefined {
    return this.#book.keys[machine];
  }
  /** The names of machines with an agent. */
  get bootstrapped(): readonly string[] {
    return Object.keys(this.#book.keys);
  }
  expiresOf(machine: string): string | null {
    return this.#book.expires[machine] ?? null;
  }

  /** Writes down who manages and leads now. */
  learnManagers(managers: readonly KnownManager[], leader: string | null): void {
    this.#change((book) => ({ ...book, managers: managers.map(({ name, id, address }) => ({ name, id, address })), leader }));
  }

  /** Writes down agents that bootstrap has seen. */
  learnAgents(agents: readonly { readonly machine: string; readonly key: string; readonly expires: string | null }[]): void {
    this.#change((book) => {
      const keys = { ...book.keys };
      const expires = { ...book.expires };
      for (const agent of agents) {
        keys[agent.machine] = agent.key;
        if (agent.expires !== null) expires[agent.machine] = agent.expires;
      }
      return { ...book, keys, expires };
    });
  }

  /** Forgets the certificates that bootstrap gave: their CA has been replaced. The agents stay known. */
  dropCertificates(): void {
    this.#change((book) => ({ ...book, expires: {} }));
  }

  /** Forgets agents: of machines that were destroyed, or whose agents turned out to be others. */
  forget(machines: readonly string[]): void {
    const gone = new Set(machines);
    const without = <T>(record: Readonly<Record<string, T>>): Record<string, T> => Object.fromEntries(Object.entries(record).filter(([name]) => !gone.has(name)));
    this.#change((book) => ({ ...book, keys: without(book.keys), expires: without(book.expires) }));
  }

  /** Changes what is in the file now: commands that only look take no lock, and what another has learned since must stay. */
  #change(edit: (book: Book) => Book): void {
    const before = read(this.#file);
    const book = edit(before);
    this.#book = book;
    if (JSON.stringify(book) !== JSON.stringify(before)) replaceFileSync(this.#file, `${JSON.stringify(book)}\n`);
  }
}

/** A damaged file is refused, not forgotten: with an empty book a swarm would look like none, and nothing would guard its quorum. */
function read(file: string): Book {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
    throw new BeltError('disk', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  try {
    return v.parse(Book, JSON.parse(text));
  } catch (error) {
    if (/^\{"version":([2-9]|\d\d)/.test(text)) throw new BeltError('state_newer', `${file} was written by a newer belt`, { next: 'use that belt' });
    throw new BeltError('state_damaged', `${file} is damaged; it says where the managers are`, { cause: error, next: `rm ${file}, then belt bootstrap RANGE: it learns them again and changes nothing` });
  }
}
