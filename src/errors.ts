/**
 * The one error hierarchy of belt. What goes wrong where a person can act on it is a `BeltError`: a stable code (listed in
 * docs/errors.md, which a test compares with this table), the machine it concerns, the cause, and what to type next. A broken
 * assumption of ours is a plain `Error` from {@link assert}; it is never caught to be handled.
 */

/** What a process of belt exits with (docs/errors.md and the design's section 6). */
export const EXIT = { done: 0, failed: 1, usage: 2, partly: 3, unknown: 4, refused: 5, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Every code with the exit status it leads to and whether the same call may succeed when it is repeated unchanged. */
export const ERROR_CODES = {
  usage: { exit: EXIT.usage, retryable: false, meaning: 'the command line is wrong' },
  range: { exit: EXIT.usage, retryable: false, meaning: 'a range is malformed, empty, reversed or larger than 10,000 names' },
  config: { exit: EXIT.usage, retryable: false, meaning: 'the configuration is wrong' },
  topology: { exit: EXIT.usage, retryable: false, meaning: 'a topology is malformed' },
  unknown_machine: { exit: EXIT.failed, retryable: false, meaning: 'no machine of the cluster has that name' },
  unknown_cluster: { exit: EXIT.failed, retryable: false, meaning: 'no cluster of that name is here' },
  state_damaged: { exit: EXIT.failed, retryable: false, meaning: 'a file of belt is damaged or half-written' },
  state_newer: { exit: EXIT.failed, retryable: false, meaning: 'a file was written by a newer belt' },
  locked: { exit: EXIT.refused, retryable: true, meaning: 'another belt is changing the cluster' },
  refused: { exit: EXIT.refused, retryable: false, meaning: 'refused for safety; --force overrides' },
  protected: { exit: EXIT.refused, retryable: false, meaning: 'confirmation is missing; --yes gives it' },
  does_not_fit: { exit: EXIT.refused, retryable: false, meaning: 'the machines do not fit the topology' },
  no_quorum: { exit: EXIT.refused, retryable: true, meaning: 'too few managers are reachable; nothing was changed' },
  outcome_unknown: { exit: EXIT.unknown, retryable: true, meaning: 'the answer was lost; the change may or may not have happened' },
  timeout: { exit: EXIT.unknown, retryable: true, meaning: 'it took longer than it was given' },
  unreachable: { exit: EXIT.failed, retryable: true, meaning: 'the machine does not answer' },
  host_key_changed: { exit: EXIT.failed, retryable: false, meaning: 'the machine shows another host key than the pinned one' },
  ssh_auth: { exit: EXIT.failed, retryable: true, meaning: 'the machine refuses our SSH key' },
  remote_command: { exit: EXIT.failed, retryable: false, meaning: 'a command on the machine failed' },
  certificate: { exit: EXIT.failed, retryable: false, meaning: 'a certificate is not acceptable' },
  forbidden: { exit: EXIT.failed, retryable: false, meaning: 'the certificate does not allow the call' },
  bad_token: { exit: EXIT.failed, retryable: false, meaning: 'the join token is wrong, rotated or of another cluster' },
  bad_request: { exit: EXIT.failed, retryable: false, meaning: 'the agent does not understand the call' },
  no_agent: { exit: EXIT.failed, retryable: false, meaning: 'the machine has no agent yet' },
  no_engine: { exit: EXIT.failed, retryable: false, meaning: 'no engine is installed on the machine' },
  engine: { exit: EXIT.failed, retryable: false, meaning: 'Docker Engine refused or failed' },
  driver: { exit: EXIT.failed, retryable: false, meaning: 'the cloud refused the request' },
  driver_auth: { exit: EXIT.failed, retryable: false, meaning: 'the cloud does not accept the credentials' },
  driver_quota: { exit: EXIT.failed, retryable: false, meaning: 'a quota or limit of the account is reached' },
  driver_capacity: { exit: EXIT.failed, retryable: false, meaning: 'the cloud has no capacity of that type there now' },
  driver_throttled: { exit: EXIT.failed, retryable: true, meaning: 'the cloud throttles the account' },
  driver_unavailable: { exit: EXIT.failed, retryable: true, meaning: 'the cloud fails or does not answer' },
  log_corrupt: { exit: EXIT.failed, retryable: false, meaning: 'the Raft log or a snapshot is damaged' },
  disk: { exit: EXIT.failed, retryable: true, meaning: 'the disk is full or fails' },
  failed: { exit: EXIT.failed, retryable: false, meaning: 'it failed' },
  partly: { exit: EXIT.partly, retryable: true, meaning: 'some machines are done and some failed' },
  interrupted: { exit: EXIT.interrupted, retryable: true, meaning: 'interrupted' },
} as const satisfies Record<string, { exit: ExitCode; retryable: boolean; meaning: string }>;
export type ErrorCode = keyof typeof ERROR_CODES;

export interface BeltErrorDetails {
  /** The machine, node or file it concerns. */
  readonly machine?: string | undefined;
  /** The command or act that gets the operator further. */
  readonly next?: string | undefined;
  readonly cause?: unknown;
  /** Overrides the code's own answer where the place of failure knows better. */
  readonly retryable?: boolean | undefined;
  /** How long the other side asked us to wait, milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** A failure a person can act on. The message says what failed and why, on one line, without secrets. */
export class BeltError extends Error {
  readonly code: ErrorCode;
  readonly machine: string | undefined;
  readonly next: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: BeltErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'BeltError';
    this.code = code;
    this.machine = details.machine;
    this.next = details.next;
    this.retryable = details.retryable ?? ERROR_CODES[code].retryable;
    this.retryAfterMs = details.retryAfterMs;
  }

  /** The status a command that ends with this error exits with. */
  get exit(): ExitCode {
    return ERROR_CODES[this.code].exit;
  }

  /** The same failure as plain data, for `--json` and for the wire between agents and operators. */
  toJSON(): { code: ErrorCode; message: string; machine: string | null; next: string | null } {
    return { code: this.code, message: this.message, machine: this.machine ?? null, next: this.next ?? null };
  }
}

/** Whether `value` is a `BeltError`, and of `code` where one is given. */
export function isBeltError(value: unknown, code?: ErrorCode): value is BeltError {
  return value instanceof BeltError && (code === undefined || value.code === code);
}

/** Anything thrown as a `BeltError`: itself, or wrapped under `code` with its message and as the cause. */
export function asBeltError(value: unknown, code: ErrorCode = 'failed', details: BeltErrorDetails = {}): BeltError {
  if (value instanceof BeltError) return value;
  return new BeltError(code, value instanceof Error ? value.message : String(value), { ...details, cause: value });
}

/** Throws a plain `Error` when something belt takes for granted does not hold: a bug, not a condition. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${what}`);
}

/** One machine's share of a bulk operation: one failure never hides another's success. */
export type Outcome<T = void> =
  | { readonly name: string; readonly ok: true; readonly value: T; readonly note?: string | undefined }
  | { readonly name: string; readonly ok: false; readonly error: BeltError };
