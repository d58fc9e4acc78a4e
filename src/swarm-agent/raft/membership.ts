/**
 * Memberships as values: apply one change, read and write them, and the history of those still in the log. Consecutive memberships differ in one
 * voter, so that any majority of one meets any majority of the next (thesis, 4.1, figure 4.3); a learner counts nowhere.
 */
import { assert } from '../../errors.ts';
import type { LogIndex, Member, MemberId, Membership, MembershipChange } from './types.ts';

export const NO_MEMBERS: Membership = { members: [] };

export function findMember(membership: Membership, id: MemberId): Member | undefined {
  return membership.members.find((member) => member.id === id);
}

/** Ids of the voters. */
export function votersOf(membership: Membership): MemberId[] {
  return membership.members.filter((member) => member.voter).map((member) => member.id);
}

/** The membership after `change`; null when the change means nothing here (no such member, already so, or the last voter would go). */
export function applyChange(membership: Membership, change: MembershipChange): Membership | null {
  const present = findMember(membership, change.id);
  const others = membership.members.filter((member) => member.id !== change.id);
  switch (change.kind) {
    case 'add':
      return present ? null : sorted([...others, { id: change.id, voter: false, address: change.address }]);
    case 'promote':
      return present && !present.voter ? sorted([...others, { ...present, voter: true }]) : null;
    case 'remove':
      return present && others.some((member) => member.voter) ? { members: others } : null;
    case 'address':
      return present && present.address !== change.address ? sorted([...others, { ...present, address: change.address }]) : null;
  }
}

function sorted(members: Member[]): Membership {
  return { members: members.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** A membership as the data of its entry. */
export function encodeMembership(membership: Membership): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(membership.members.map(({ id, voter, address }) => ({ id, voter, address }))));
}

/** The membership an entry carries. Throws a plain `Error` on anything else: the log's checksums have vouched for the bytes. */
export function decodeMembership(data: Uint8Array): Membership {
  const members: unknown = JSON.parse(new TextDecoder().decode(data));
  assert(Array.isArray(members), 'a membership is a list');
  return sorted(members.map((member: Partial<Member>) => {
    assert(typeof member.id === 'string' && typeof member.voter === 'boolean' && typeof member.address === 'string', 'a member has id, voter and address');
    return { id: member.id, voter: member.voter, address: member.address };
  }));
}

/** The memberships in the log by index, oldest first: the first is covered by a snapshot or committed, the last is in force. */
export class MembershipHistory {
  private records: { readonly index: LogIndex; readonly membership: Membership }[];

  constructor(index: LogIndex, membership: Membership) {
    this.records = [{ index, membership }];
  }

  /** The newest membership and where it stands. */
  get latest(): { readonly index: LogIndex; readonly membership: Membership } { return this.records[this.records.length - 1]!; }

  /** The membership as of `index`. */
  asOf(index: LogIndex): Membership {
    return (this.records.findLast((record) => record.index <= index) ?? this.records[0]!).membership;
  }

  add(index: LogIndex, membership: Membership): void {
    this.records.push({ index, membership });
  }

  /** Forgets the memberships from `from` on: their entries were cut off. Tells whether there was one. */
  rollBack(from: LogIndex): boolean {
    const before = this.records.length;
    while (this.records.length > 1 && this.latest.index >= from) this.records.pop();
    return this.records.length < before;
  }

  /** Forgets what only indexes before `index` would ask for. */
  prune(index: LogIndex): void {
    while (this.records.length > 1 && this.records[1]!.index <= index) this.records.shift();
  }

  /** A snapshot takes the place of all. */
  replace(index: LogIndex, membership: Membership): void {
    this.records = [{ index, membership }];
  }
}
