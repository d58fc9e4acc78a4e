/** Renews the agent's certificate: at half of its life, when the CA or the node's role changed, or when told to. */
import { BACKDATE_MS } from '../../certs/profiles.ts';
import { renewAt, retryAfterMs, type Validity } from '../../certs/renewal.ts';
import { BeltError, asBeltError } from '../../errors.ts';
import type { ManagerAddress, Membership } from '../api/shapes.ts';
import type { Clock, Log, Random } from '../ports.ts';
import type { Peers } from '../session/peers.ts';
import { makeCsr } from './certificates.ts';
import type { Identity } from './identity.ts';

export interface RenewerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly identity: Identity;
  readonly peers: Peers;
  readonly managers: () => readonly ManagerAddress[];
  /** A manager signs its own; null where another has to. */
  readonly sign: (csr: string) => { certificate: string; membership: Membership } | null;
  /** The new certificate is of another role. */
  readonly onRole: () => void;
}

export class Renewer {
  readonly #options: RenewerOptions;
  #cancel = (): void => undefined;
  #chance: number;
  #serial = '';
  #underWay: Promise<void> | null = null;
  #stopped = false;
  #failures = 0;
  /** Why the last try failed; null when it did not. */
  problem: string | null = null;

  constructor(options: RenewerOptions) {
    this.#options = options;
    this.#chance = options.random();
  }

  start(): void {
    this.look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Something may be due earlier than planned. */
  look(): void {
    const { clock, identity, random } = this.#options;
    const { serial } = identity.certificate;
    if (this.#stopped || identity.role === 'machine') return;
    if (serial !== this.#serial) this.#chance = random();
    this.#serial = serial;
    this.#cancel();
    const node = identity.node!;
    const overdue = node.membership.generation > node.generation || node.membership.role !== identity.role;
    const wait = overdue ? 0 : renewAt(lifeOf(identity), this.#chance) - clock.now();
    this.#cancel = clock.after(wait, () => void this.#try());
  }

  /** Renews now. Rejects with the reason where no manager does it. A machine certificate is renewed by the operator alone. `byOthers`: also where this manager could sign by what it knows. */
  renew({ byOthers = false }: { readonly byOthers?: boolean } = {}): Promise<void> {
    this.#underWay ??= this.#renew(byOthers).finally(() => (this.#underWay = null));
    return this.#underWay;
  }

  async #try(): Promise<void> {
    const { clock, identity, log, random } = this.#options;
    try {
      await this.renew();
    } catch (error) {
      const why = asBeltError(error).message;
      if (this.problem !== why) log(`renewing the certificate: ${why}`);
      this.problem = why;
      this.#failures += 1;
      if (!this.#stopped) this.#cancel = clock.after(retryAfterMs(lifeOf(identity), this.#failures, clock.now(), random()), () => void this.#try());
    }
  }

  async #renew(byOthers: boolean): Promise<void> {
    const { identity, log, managers, onRole, peers, random, sign } = this.#options;
    const { role } = identity;
    if (role === 'machine') throw new BeltError('refused', 'a machine certificate is renewed by the operator', { machine: identity.config.machine, next: `belt certs renew ${identity.config.machine}` });
    const csr = makeCsr(identity.key, identity.certificate.name);
    // Not always the same manager first: a thousand nodes made together come at about the same time.
    const others = managers().toSorted(() => random() - 0.5);
    const { certificate, membership } = (byOthers ? null : sign(csr)) ?? (await peers.any(others, 'member.renew', { csr }, { timeoutMs: 5000 }));
    identity.become(certificate, membership);
    this.problem = null;
    this.#failures = 0;
    log(`certificate renewed until ${new Date(identity.certificate.notAfter).toISOString()}`);
    if (identity.role !== role) onRole();
    this.look();
  }
}

/** From when the certificate was signed: what `src/certs` dates it back is a fixed allowance, or half of the whole for one that lives shorter. */
function lifeOf({ certificate: { notBefore, notAfter } }: Identity): Validity {
  return { notBefore: notBefore + Math.min(BACKDATE_MS, (notAfter - notBefore) / 2), notAfter };
}
