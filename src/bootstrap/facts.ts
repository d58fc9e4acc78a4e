/** What a machine says of itself: the answer to `templates/bootstrap/probe.sh`, read and checked. */
import { X509Certificate } from 'node:crypto';

import { BeltError } from '../errors.ts';

export interface Facts {
  /** Where belt's files begin: empty on a real machine. */
  readonly root: string;
  /** The user the conversation runs as. */
  readonly uid: number;
  /** As `uname -m` says. */
  readonly arch: string;
  /** `ID` and `VERSION_ID` of os-release, null where there is none. */
  readonly os: string | null;
  readonly osVersion: string | null;
  readonly service: 'systemd' | 'start';
  /** Null where the machine shares its host's name (`local`). */
  readonly hostname: string | null;
  /** Where dockerd is, null where it is not installed. */
  readonly engine: string | null;
  /** The runtime's SHA-256, or where it is linked to; null where there is none. */
  readonly runtime: { readonly sha256: string } | { readonly link: string } | null;
  /** SHA-256 by path, of the files of belt that are there. */
  readonly files: ReadonlyMap<string, string>;
  /** PEM; null also where it cannot be read. */
  readonly certificate: string | null;
  readonly roots: string | null;
  readonly hasKey: boolean;
  /** Whether the agent runs, and which of its files are newer than its start. */
  readonly running: boolean;
  readonly outdated: readonly string[];
}

/** Largest fact that is looked at, characters: a certificate with some room. */
const FACT_MAX = 65_536;

/** Reads the lines `name value…`. Throws `BeltError('remote_command')` where one that must be there is missing or makes no sense. */
export function parseFacts(machine: string, lines: readonly string[]): Facts {
  const values = new Map<string, string[]>();
  for (const line of lines) {
    if (line.length > FACT_MAX) throw unreadable(machine, 'a line is too long');
    const [, name = '', value = ''] = /^(\S+) ?(.*)$/.exec(line) ?? [];
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const one = (name: string): string | null => values.get(name)?.[0] ?? null;
  const must = (name: string, shape: RegExp): string => {
    const value = one(name) ?? '';
    if (!shape.test(value)) throw unreadable(machine, `${name} is '${value.slice(0, 80)}'`);
    return value;
  };
  const link = one('runtime-link');
  const archive = one('runtime');
  const os = new Map((values.get('os') ?? []).map((line) => line.replaceAll('"', '').split('=') as [string, string]));
  return {
    root: must('root', /^(\/[^\0]*)?$/),
    uid: Number(must('user', /^\d{1,10}$/)),
    arch: must('arch', /^[a-z0-9_]{1,32}$/),
    os: os.get('ID') ?? null,
    osVersion: os.get('VERSION_ID') ?? null,
    service: must('service', /^(systemd|start)$/) as Facts['service'],
    hostname: one('hostname'),
    engine: one('engine'),
    runtime: link !== null ? { link } : archive !== null ? { sha256: archive } : null,
    files: new Map((values.get('file') ?? []).map((line) => [line.slice(65), line.slice(0, 64)])),
    certificate: readable(decode(one('certificate'))),
    roots: decode(one('roots')),
    hasKey: one('key') !== null,
    running: one('running') !== null,
    outdated: values.get('outdated') ?? [],
  };
}

/** What a power cut left of a certificate is none: the machine asks for another. */
function readable(pem: string | null): string | null {
  try {
    if (pem !== null) new X509Certificate(pem);
    return pem;
  } catch {
    return null;
  }
}

function decode(base64: string | null): string | null {
  return base64 === null ? null : Buffer.from(base64, 'base64').toString('utf8');
}

function unreadable(machine: string, why: string): BeltError {
  return new BeltError('remote_command', `${machine} does not say what it is: ${why}`, { machine, next: `belt ssh ${machine} and look whether a plain sh runs there` });
}
