/** One machine's bootstrap: facts, the steps that are needed, their acts in one script, and the certificate on the same channel. */
import { X509Certificate } from 'node:crypto';

import { keyDigest } from '../certs/identity.ts';
import { BeltError } from '../errors.ts';
import type { Machine } from '../provision/driver.ts';
import { quoteWord } from '../ssh/quote.ts';
import { Conversation, type Remote, type Said } from './conversation.ts';
import { deliverRuntime } from './deliver-runtime.ts';
import { parseFacts, type Facts } from './facts.ts';
import { renderShell } from './render.ts';
import type { RuntimeArchive } from './runtime.ts';
import type { Seeds } from './seeds.ts';
import type { Deed, Step } from './step.ts';
import { judgeCertificate } from './steps/certificate.ts';
import { STEPS } from './steps/index.ts';
import type { Wanted } from './wanted.ts';

/** Signs for the cluster: a request's key, or the key of a certificate that the CA gave before. Returns PEM. */
export interface Signer {
  /** A machine certificate for the key of a request. */
  signRequest(csr: string, machine: Machine): string;
  /** The same identity for the same key once more. */
  signAgain(certificate: string, machine: Machine): string;
}

/** What a bootstrap is asked. */
export interface MachineJob {
  readonly machine: Machine;
  /** Opens a channel that runs `command`. */
  readonly open: (command: string) => Promise<Remote>;
  /** What the machine shall be, once its architecture is known. */
  readonly wanted: (facts: Facts) => Promise<Wanted>;
  readonly signer: Signer;
  readonly seeds: Seeds;
  readonly archiveOf: (arch: string) => Promise<RuntimeArchive>;
  readonly dryRun: boolean;
  /** The only steps that may act; null: all. */
  readonly only: readonly string[] | null;
  readonly signal: AbortSignal;
  /** A step begins. */
  readonly onStep?: ((step: string) => void) | undefined;
}

/** One planned step in words. */
export interface Planned {
  readonly step: string;
  readonly does: string;
}

export interface Bootstrapped {
  /** What was done, or would be; empty when the machine was as wanted. */
  readonly planned: readonly Planned[];
  readonly notes: readonly string[];
  /** SHA-256 (hex) of the agent's public key, to be pinned; null in a dry run of a machine without one. */
  readonly agentKey: string | null;
  /** When the agent's certificate runs out, ISO 8601; null as above. */
  readonly certificateExpires: string | null;
  /** The certificate that was signed now, PEM; null where the old one holds. */
  readonly signed: string | null;
}

/** Milliseconds of silence after which a machine is given up: facts are quick, packages and the first start of an agent are not. */
const SILENCE_MS = { facts: 30_000, act: 900_000 } as const;

/** The command of the conversation; with `sudo` where the login is not root. */
export function listenCommand(machine: Pick<Machine, 'driver' | 'sshUser'>): string {
  const shell = renderShell('bootstrap/listen.sh').trim();
  const become = machine.driver === 'local' || machine.sshUser === 'root' ? '' : 'sudo -n ';
  return `${become}sh -c ${quoteWord(shell)}`;
}

/** Makes the machine as wanted, or says what that would take. Rejects with `BeltError`; the machine is then in order up to the step named. */
export async function bootstrapMachine(job: MachineJob): Promise<Bootstrapped> {
  const { machine, seeds, signal } = job;
  const conversation = new Conversation(machine.name, await job.open(listenCommand(machine)));
  let settle: (() => void) | null = null;
  let keepOpen: Promise<void> | null = null;
  try {
    const facts = await gatherFacts(conversation, machine.name, signal);
    const place = placeOf(machine);
    settle = once(() => seeds.settle(place));
    const wanted = await job.wanted(facts);
    const steps = STEPS.filter((step) => (job.only?.includes(step.id) ?? true) && step.check(facts, wanted) !== null);
    const planned = steps.map((step) => ({ step: step.id, does: step.check(facts, wanted) as string }));
    if (job.dryRun || steps.length === 0) return { planned, notes: [], signed: null, ...describe(facts.certificate) };
    await conversation.send(renderShell('bootstrap/act.sh'));
    const sent = wanted.delivery === 'send' && steps.some(({ id }) => id === 'runtime');
    if (sent) {
      job.onStep?.('runtime');
      if (await deliverRuntime(conversation, seeds, { archive: await job.archiveOf(facts.arch), place, address: machine.privateIpv4 ?? machine.publicIpv4, signal })) keepOpen = seeds.drained(place);
    }
    settle();
    const rest = sent ? steps.filter(({ id }) => id !== 'runtime') : steps;
    const certificate = await act(conversation, rest, facts, wanted, job);
    return { planned, notes: certificate.notes, signed: certificate.pem, ...describe(certificate.pem ?? facts.certificate) };
  } finally {
    if (settle === null) seeds.settle(placeOf(machine));
    else settle();
    if (keepOpen === null) conversation.close();
    else void keepOpen.then(() => conversation.close());
  }
}

/** Machines of one place get the runtime from one seed. */
export function placeOf(machine: Pick<Machine, 'datacenter'>): string {
  return machine.datacenter;
}

async function gatherFacts(conversation: Conversation, machine: string, signal: AbortSignal): Promise<Facts> {
  await conversation.send(renderShell('bootstrap/probe.sh'));
  const lines: string[] = [];
  for (;;) {
    const said = await conversation.next(SILENCE_MS.facts, signal);
    if (said.word === 'end') return parseFacts(machine, lines);
    if (said.word === 'fact' && lines.length < 200) lines.push(said.rest);
  }
}

/** Sends all acts as one script and answers the request for a certificate that may come back. */
async function act(conversation: Conversation, steps: readonly Step[], facts: Facts, wanted: Wanted, job: MachineJob): Promise<{ pem: string | null; notes: string[] }> {
  const planned = new Set(steps.map(({ id }) => id));
  const deeds: Deed[] = [];
  const verdict = judgeCertificate(facts, wanted);
  let pem: string | null = null;
  for (const step of steps) {
    if (step.id === 'certificate' && verdict.do === 'resign') {
      pem = job.signer.signAgain(verdict.pem, job.machine);
      deeds.push(resign(pem, facts.running && !planned.has('start')));
    } else deeds.push(await step.act(facts, wanted, planned));
  }
  const enrols = verdict.do === 'enrol';
  const script = `${deeds.map(({ script: text }) => text).join('\n')}\n${enrols ? '' : 'say finished\n'}`;
  await conversation.send(script, deeds.flatMap(({ payload }) => payload));
  const notes: string[] = [];
  for (;;) {
    const said = await conversation.next(SILENCE_MS.act, job.signal);
    if (said.word === 'begin') job.onStep?.(said.rest);
    if (said.word === 'note') notes.push(said.rest);
    if (said.word === 'said') pem = (await answer(conversation, said, wanted, job)) ?? pem;
    if (said.word === 'finished') return { pem, notes };
  }
}

/** The agent spoke: a request is answered with its certificate; `ready` needs no answer. */
async function answer(conversation: Conversation, said: Said, wanted: Wanted, { machine, signer }: MachineJob): Promise<string | null> {
  const request = /^csr ([A-Za-z0-9+/=]+)$/.exec(said.rest)?.[1];
  if (request === undefined) {
    if (said.rest === 'ready') return null;
    throw new BeltError('remote_command', `the agent of ${machine.name} did not start: ${said.rest.slice(0, 300)}`, { machine: machine.name, next: `belt ssh ${machine.name}, and look at its log` });
  }
  const pem = signer.signRequest(Buffer.from(request, 'base64').toString('utf8'), machine);
  const [roots, bytes] = [Buffer.from(wanted.cluster.roots.join('')), Buffer.from(pem)];
  await conversation.send(renderShell('bootstrap/certificate.sh', { roots_length: roots.length, length: bytes.length }), [roots, bytes]);
  return pem;
}

function resign(pem: string, reload: boolean): Deed {
  const bytes = Buffer.from(pem);
  return { script: renderShell('bootstrap/resign.sh', { length: bytes.length, reload: reload ? 'yes' : '' }), payload: [bytes] };
}

function describe(pem: string | null): Pick<Bootstrapped, 'agentKey' | 'certificateExpires'> {
  if (pem === null) return { agentKey: null, certificateExpires: null };
  const x509 = new X509Certificate(pem);
  return { agentKey: keyDigest(x509), certificateExpires: x509.validToDate.toISOString() };
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
