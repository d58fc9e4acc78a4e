/**
 * Timeouts that follow the measured round trips (paper, section 5.6: broadcast time ≪ election timeout). Per peer the last few round trips are
 * kept and their third quartile taken, so that a single pause (a stopped process, a slow collection) does not count; the slowest
 * peer decides. One rack stays at the configured minimum; across continents heartbeats come every half round trip and an
 * election waits for three heartbeats and four round trips, so that a late packet is not taken for a dead leader.
 */
import type { MemberId, Millis, RaftConfig } from './types.ts';

const SAMPLES = 16;

const clamp = (value: number, min: number, max: number): number => Math.min(Math.max(value, min), max);

/** The last round trips to one peer. */
class RoundTrips {
  private readonly samples: number[] = [];
  private at = 0;
  private quartile = 0;
  private lastReply = -Infinity;

  /** A question that was sent before the last reply came says nothing new: a pause holds up many, and is one. */
  add(sentAt: Millis, now: Millis): void {
    if (sentAt < this.lastReply) return;
    this.lastReply = now;
    const ms = Math.max(0, now - sentAt);
    this.samples[this.at] = ms;
    this.at = (this.at + 1) % SAMPLES;
    const ordered = [...this.samples].sort((a, b) => a - b);
    this.quartile = ordered[Math.floor((ordered.length - 1) * 0.75)]!;
  }
  get ms(): Millis { return this.quartile; }
}

export class Timing {
  private readonly peers = new Map<MemberId, RoundTrips>();
  private readonly config: RaftConfig;
  heartbeatMs: Millis;
  /** Base of the election timeout, and how long a heartbeat of a leader keeps a voter from voting for another. */
  electionMs: Millis;

  constructor(config: RaftConfig) {
    this.config = config;
    this.heartbeatMs = config.heartbeatMsMin;
    this.electionMs = config.electionMsMin;
  }

  /** A reply came at `now` to the question of `sentAt`. Tells whether the timeouts changed by a quarter or more. */
  measured(peer: MemberId, sentAt: Millis, now: Millis): boolean {
    let trips = this.peers.get(peer);
    if (trips === undefined) this.peers.set(peer, (trips = new RoundTrips()));
    trips.add(sentAt, now);
    return this.derive();
  }

  /** The leader says which election timeout to use. */
  told(electionMs: Millis): void {
    this.electionMs = clamp(electionMs, this.config.electionMsMin, this.config.electionMsMax);
  }

  /** Forgets peers that are members no more. */
  keep(isMember: (id: MemberId) => boolean): void {
    for (const id of this.peers.keys()) if (!isMember(id)) this.peers.delete(id);
  }

  rtt(peer: MemberId): Millis | null {
    return this.peers.get(peer)?.ms ?? null;
  }

  private derive(): boolean {
    const before = this.electionMs;
    let slowest = 0;
    for (const trips of this.peers.values()) slowest = Math.max(slowest, trips.ms);
    const { heartbeatMsMin, heartbeatMsMax, electionMsMin, electionMsMax } = this.config;
    this.heartbeatMs = clamp(Math.round(slowest / 2), heartbeatMsMin, heartbeatMsMax);
    this.electionMs = clamp(Math.round(3 * this.heartbeatMs + 4 * slowest), electionMsMin, electionMsMax);
    return Math.abs(this.electionMs - before) >= before / 4;
  }
}
