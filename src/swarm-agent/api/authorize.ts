/** The one place that decides who may call what; the table itself is `CALLS` (api/calls.ts). */
import { BeltError } from '../../errors.ts';
import { CALLS, isCallName, type Caller, type CallName, type Plane } from './calls.ts';

/** Who calls, as a checked certificate says. */
export interface CallerIdentity {
  readonly role: Caller;
  /** Node id, machine name or operator name; empty for `none`. */
  readonly name: string;
}

/**
 * The call of that name if `caller` may make it on a connection of that protocol. Throws `BeltError('bad_request')` for a call this release
 * does not know and `BeltError('forbidden')` where the table has no such cell.
 */
export function authorize(name: string, caller: CallerIdentity, protocol: 'call' | 'join'): CallName {
  if (!isCallName(name)) throw new BeltError('bad_request', `this agent knows no call ${JSON.stringify(name.slice(0, 64))}`, { next: 'belt bootstrap RANGE brings the agents to this release' });
  const plane: Plane = CALLS[name].plane;
  const roles: readonly Caller[] = CALLS[name].roles;
  if ((plane === 'join') !== (protocol === 'join') || !roles.includes(caller.role)) {
    const who = caller.role === 'none' ? 'without a certificate' : `with a ${caller.role} certificate (${caller.name})`;
    throw new BeltError('forbidden', `${name} is not allowed ${who}: it takes ${roles.map((role) => (role === 'none' ? 'the join protocol' : role)).join(' or ')}`);
  }
  return name;
}
