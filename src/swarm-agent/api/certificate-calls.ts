/** Tokens, certificates and the CA, as the leader answers for them. */
import { X509Certificate, randomBytes } from 'node:crypto';

import { factsOf, signedByOne } from '../../certs/identity.ts';
import { newSecret } from '../../certs/join-token.ts';
import { nextRotationStep, type RotationNode } from '../../certs/rotation.ts';
import { BeltError } from '../../errors.ts';
import { endorse } from '../identity/endorsement.ts';
import type { Clock } from '../ports.ts';
import type { Change } from '../store/commands.ts';
import type { AuthorityRecord, CertificateRecord } from '../store/records.ts';
import type { Sealer } from '../store/sealer.ts';
import { CA_SIGNS_SINCE } from '../store/state.ts';
import type { CallResult, CheckedParams } from './calls.ts';
import type { Write } from './cluster-calls.ts';
import { AUTHORITY_PURPOSE, tokenPurpose, type Enrolment } from './enrolment.ts';
import type { Group } from './group.ts';
import type { TrustedRoots } from './shapes.ts';

export interface CertificateCallsOptions {
  readonly clock: Clock;
  readonly group: Group;
  readonly sealer: Sealer;
  readonly enrolment: Enrolment;
  readonly wake: () => void;
  /** Whether the node answers now, and the state (a Raft index) it has confirmed to follow. */
  readonly follows: (id: string) => { readonly reachable: boolean; readonly version: number };
}

type Rotation = CallResult<'ca.status'>;

export class CertificateCalls {
  readonly #options: CertificateCallsOptions;
  /** Nodes whose turn it is to renew, during a rotation. */
  #batch: ReadonlySet<string> = new Set();

  constructor(options: CertificateCallsOptions) {
    this.#options = options;
  }

  async showToken({ role }: CheckedParams<'token.show'>): Promise<{ token: string }> {
    await this.#options.group.read();
    return { token: this.#options.enrolment.token(role) };
  }

  /** A repeat of the same request finds its first secret in the state and answers with that. */
  async rotateToken({ role }: CheckedParams<'token.rotate'>, { request, first }: Write): Promise<{ token: string }> {
    const { group, sealer, enrolment } = this.#options;
    await group.write(request, { type: 'token.rotate', role, secret: sealer.seal(tokenPurpose(role), newSecret()) }, first);
    return { token: enrolment.token(role) };
  }

  async list(): Promise<CallResult<'certs.list'>> {
    const { group } = this.#options;
    await group.read();
    return { certificates: [...group.state.tables.certificates.values()].map((record) => this.#row(record)) };
  }

  async record({ certificate }: CheckedParams<'certs.record'>, { request, first }: Write): Promise<{ changed: boolean }> {
    const { group, clock } = this.#options;
    await group.read();
    const x509 = parse(certificate);
    const { roots = [], changedAt = 0 } = group.state.tables.authority ?? {};
    if (!signedByOne(x509, roots)) throw new BeltError('certificate', 'the certificate is not signed by the CA of this cluster');
    const { serial, role, name, fingerprint } = factsOf(x509);
    if (group.state.tables.certificates.has(serial)) return { changed: false };
    // Of the CA on its way out it is, however late it is written down.
    const issuedAt = signedByOne(x509, roots.slice(0, 1)) ? clock.now() : changedAt;
    await group.write(request, { type: 'certificate.issued', certificate: { serial, role, name, fingerprint, issuedAt, notAfter: x509.validToDate.getTime() } }, first);
    return { changed: true };
  }

  async revoke({ which }: CheckedParams<'certs.revoke'>, { request, first }: Write): Promise<{ serials: string[] }> {
    const { group, clock } = this.#options;
    await group.read();
    const now = clock.now();
    const found = this.#matching(which).filter((one) => one.notAfter > now && one.revokedAt === null && !group.state.caDropped(one));
    const serials = found.map(({ serial }) => serial);
    if (serials.length > 0) await group.write(request, { type: 'all', changes: found.map(({ serial, notAfter }): Change => ({ type: 'certificate.revoke', serial, notAfter })) }, first);
    return { serials };
  }

  /** Begins a rotation: the new root is made known beside the old one, which goes on signing until everybody trusts both. */
  async rotate({ certificate, key }: CheckedParams<'ca.rotate'>, { request, first }: Write): Promise<Rotation> {
    const { group, sealer } = this.#options;
    await group.read();
    const authority = this.#authority();
    const root = certificate.trim();
    const known = authority.roots.map((one) => one.trim());
    // A root that is only trusted is no root that signs: a swarm may have been founded with one more than its own.
    if (known[0] === root || (authority.phase !== 'steady' && known.includes(root))) return this.#rotation();
    if (authority.phase !== 'steady') throw new BeltError('refused', 'another rotation of the CA is under way', { next: 'belt certs ls shows how far it is' });
    const changes: Change[] = [
      { type: 'setting.set', key: NEXT_KEY, value: sealer.seal(NEXT_KEY, key) },
      { type: 'authority.set', authority: { generation: authority.generation, phase: 'distributing', roots: [...authority.roots.slice(0, 1), `${root}\n`], key: authority.key }, ifRevision: authority.revision },
    ];
    await group.write(request, { type: 'all', changes }, first);
    this.#options.wake();
    return this.#rotation();
  }

  async rotation(): Promise<Rotation> {
    await this.#options.group.read();
    return this.#rotation();
  }

  /** The leader's next step of a rotation; true where it took one. Decided from the state alone (`certs/rotation.ts`), whoever leads. */
  async rotateFurther(): Promise<boolean> {
    const { group, clock, sealer } = this.#options;
    const { authority, settings } = group.state.tables;
    if (authority === null) return false;
    const step = nextRotationStep(authority.phase, this.#rotationNodes(), clock.now());
    if (step.do === 'renew') this.#batch = new Set(step.nodes);
    if (step.do === 'sign-with-new') {
      const [old, fresh] = authority.roots;
      const next = settings.get(NEXT_KEY);
      if (next === undefined || fresh === undefined || old === undefined) throw new BeltError('failed', 'the key of the new CA is missing from the state', { next: 'belt certs rotate' });
      const key = sealer.seal(AUTHORITY_PURPOSE, sealer.open(NEXT_KEY, next.value as AuthorityRecord['key']));
      const endorsement = endorse(fresh, sealer.open(AUTHORITY_PURPOSE, authority.key));
      // From here on the new root is first, and signs; the tokens name it, so the old ones are worth nothing.
      const tokens = (['worker', 'manager'] as const).map((role): Change => ({ type: 'token.rotate', role, secret: sealer.seal(tokenPurpose(role), newSecret()) }));
      await this.#advance(authority, { generation: authority.generation + 1, phase: 'reissuing', roots: [fresh, old], key }, { type: 'setting.remove', key: NEXT_KEY }, { type: 'setting.set', key: ENDORSEMENT_KEY, value: endorsement }, ...tokens);
      return true;
    }
    if (step.do !== 'drop-old') return false;
    this.#batch = new Set();
    await this.#advance(authority, { phase: 'steady', roots: authority.roots.slice(0, 1) }, { type: 'setting.remove', key: ENDORSEMENT_KEY }, { type: 'setting.set', key: CA_SIGNS_SINCE, value: String(authority.changedAt) });
    return true;
  }

  /** The generation a node shall have its certificate from: the new one only when its turn has come. */
  generationFor(id: string): number {
    const { generation, phase } = this.#authority();
    return phase === 'reissuing' && !this.#batch.has(id) ? generation - 1 : generation;
  }

  /** For a node that was off while the root changed: it trusts the old one, and so what that has signed. Needs no quorum. */
  trustedRoots(): TrustedRoots {
    const { settings } = this.#options.group.state.tables;
    return { roots: this.#authority().roots.join(''), endorsement: settings.get(ENDORSEMENT_KEY)?.value ?? null };
  }

  async #advance(from: AuthorityRecord, to: Partial<AuthorityRecord>, ...more: Change[]): Promise<void> {
    const { generation, phase, roots, key } = { ...from, ...to };
    const changes: Change[] = [{ type: 'authority.set', authority: { generation, phase, roots, key }, ifRevision: from.revision }, ...more];
    await this.#options.group.write(randomBytes(16).toString('hex'), { type: 'all', changes });
  }

  /** A node holds a certificate of the new root when the one it has now was recorded after that root began to sign. */
  #rotationNodes(): RotationNode[] {
    const { group, follows } = this.#options;
    const { nodes, certificates } = group.state.tables;
    const authority = this.#authority();
    return [...nodes.values()].map(({ id, certificate }) => {
      const { reachable, version } = follows(id);
      const recorded = certificates.get(certificate?.serial ?? '')?.issuedAt ?? 0;
      return { id, reachable, trustsBoth: version >= authority.revision, reissued: recorded > authority.changedAt, notAfter: certificate?.notAfter ?? 0 };
    });
  }

  #rotation(): Rotation {
    const { nodes } = this.#options.group.state.tables;
    const { phase } = this.#authority();
    const all = this.#rotationNodes();
    const done = all.filter(({ reissued, trustsBoth }) => (phase === 'steady' ? true : phase === 'reissuing' ? reissued : trustsBoth));
    const waiting = all.filter((node) => !done.includes(node)).map(({ id }) => nodes.get(id)?.name ?? id);
    return { phase: ({ steady: 'none', distributing: 'trust', reissuing: 'reissue' } as const)[phase], total: all.length, renewed: phase === 'distributing' ? 0 : done.length, waiting };
  }

  #authority(): AuthorityRecord {
    const { authority } = this.#options.group.state.tables;
    if (authority === null) throw new BeltError('failed', 'the cluster has no CA in its state');
    return authority;
  }

  #matching(which: string): CertificateRecord[] {
    const { certificates } = this.#options.group.state.tables;
    const all = [...certificates.values()];
    const serial = certificates.get(which.toLowerCase());
    if (serial !== undefined) return [serial];
    const operator = /^operator:(.+)$/.exec(which)?.[1];
    if (operator !== undefined) return all.filter(({ role, name }) => role === 'operator' && name === operator);
    const node = this.#options.group.state.node(which);
    const found = all.filter(({ name }) => name === (node?.id ?? which));
    if (found.length === 0) throw new BeltError('unknown_machine', `no certificate, operator or node of the cluster is called ${which}`, { next: 'belt certs ls' });
    return found;
  }

  #row(record: CertificateRecord): CallResult<'certs.list'>['certificates'][number] {
    const { serial, role, name, notAfter, revokedAt } = record;
    const node = this.#options.group.state.tables.nodes.get(name ?? '');
    return {
      serial, role, name: node?.name ?? name, nodeId: node?.id ?? null,
      notAfter: new Date(notAfter).toISOString(), revokedAt: revokedAt === null ? null : new Date(revokedAt).toISOString(),
      caDropped: this.#options.group.state.caDropped(record),
    };
  }
}

/** Where the next CA key waits, sealed, until it signs. */
const NEXT_KEY = 'ca/next-key';
/** The old root's word for the new one. */
const ENDORSEMENT_KEY = 'ca/endorsement';

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new BeltError('bad_request', 'that is no certificate', { cause: error });
  }
}
