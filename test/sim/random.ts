/** Chance from a seed: the same seed gives the same run, on every machine. */

/** A small, good generator of 32-bit numbers (sfc32), seeded by one number and a label, so that each part of a run draws from a stream of its own. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d = 1;

  constructor(seed: number, label = '') {
    let hash = 0x811c9dc5 ^ seed;
    for (let at = 0; at < label.length; at += 1) hash = Math.imul(hash ^ label.charCodeAt(at), 0x01000193);
    this.a = hash | 0;
    this.b = Math.imul(hash ^ 0x9e3779b9, 0x85ebca6b) | 0;
    this.c = seed | 0;
    for (let round = 0; round < 12; round += 1) this.next();
  }

  /** Uniform in [0, 1). */
  readonly next = (): number => {
    const t = (((this.a + this.b) | 0) + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t | 0;
    return (t >>> 0) / 4294967296;
  };

  /** A whole number in [low, high]. */
  int(low: number, high: number): number { return low + Math.floor(this.next() * (high - low + 1)); }
  /** A number in [low, high). */
  between(low: number, high: number): number { return low + this.next() * (high - low); }
  chance(probability: number): boolean { return this.next() < probability; }
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T { return items[this.int(0, items.length - 1)]!; }
  /** Many short, few long: `mean` times an exponential. */
  exponential(mean: number): number { return -Math.log(1 - this.next()) * mean; }
}
