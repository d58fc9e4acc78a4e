/** The regions of the account: opened when they are needed, asked all at once, and one that does not answer is named and takes no other with it. */
import type * as Sdk from '@aws-sdk/client-ec2';
import { BeltError } from '../../src/errors.ts';
import { fanOut } from '../../src/provision/fan-out.ts';
import { Ec2Region, OURS, type Ec2Ports } from './api.ts';
import { regionOf } from './machine.ts';
import type { Ec2Options } from './options.ts';

/** Calls under way at once in all regions together. */
export const CONCURRENCY = 8;

/** Regions that no account can switch off. */
const ENABLED_EVERYWHERE = ['us-east-1', 'eu-west-1', 'ap-southeast-1'];

export interface Found {
  readonly region: Ec2Region;
  readonly instance: Sdk.Instance;
}

/** What regions answered, and why others did not. */
export interface Answers<T> {
  readonly found: readonly T[];
  readonly down: ReadonlyMap<string, BeltError>;
}

export class Regions {
  readonly #options: Ec2Options;
  readonly #ports: Ec2Ports;
  readonly #opened = new Map<string, Promise<Ec2Region>>();
  #enabled: readonly string[] | undefined;

  constructor(options: Ec2Options, ports: Ec2Ports) {
    this.#options = options;
    this.#ports = ports;
  }

  open(name: string): Promise<Ec2Region> {
    let region = this.#opened.get(name);
    if (region === undefined) this.#opened.set(name, (region = Ec2Region.open(name, this.#options, this.#ports)));
    return region;
  }

  /** Asks each region; throws only when interrupted. */
  async ask<T>(names: Iterable<string>, question: (region: Ec2Region) => Promise<readonly T[]>): Promise<Answers<T>> {
    const found: T[] = [];
    const down = new Map<string, BeltError>();
    const run = async (name: string): Promise<readonly T[]> => {
      try {
        return await question(await this.open(name));
      } catch (error) {
        if (!(error instanceof BeltError) || error.code === 'interrupted') throw error;
        down.set(name, error);
        return [];
      }
    };
    for await (const one of fanOut(new Set(names), CONCURRENCY, run)) found.push(one);
    return { found, down };
  }

  /** Instances with the tags in all regions that are searched, without much patience for one that is down. */
  async sweep(tags: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answers<Found>> {
    return this.ask(await this.searched(signal), async (region) => (await region.look().instances(tags, signal)).map((instance) => ({ region, instance })));
  }

  /** The instances of these ids, by id. */
  async byId(ids: readonly string[], signal: AbortSignal): Promise<{ found: Map<string, Found>; down: ReadonlyMap<string, BeltError> }> {
    const wanted = new Set(ids);
    const { found, down } = await this.ask(ids.map(regionOf).filter((name) => name !== ''), async (region) =>
      (await region.instances({ [OURS]: '1' }, signal)).map((instance): [string, Found] => [`${region.name}/${instance.InstanceId}`, { region, instance }]),
    );
    return { found: new Map(found.filter(([id]) => wanted.has(id))), down };
  }

  /** The configured regions, or all that the account has enabled. */
  async searched(signal: AbortSignal): Promise<string[]> {
    const { region: home, regions } = this.#options;
    if (regions !== undefined) return [...new Set([home, ...regions])];
    if (this.#enabled !== undefined) return [home, ...this.#enabled];
    let down: unknown;
    for (const name of new Set([home, ...ENABLED_EVERYWHERE])) {
      const region = (await this.open(name)).look();
      try {
        const reply = await region.call<Sdk.DescribeRegionsCommandOutput>('describe', new region.sdk.DescribeRegionsCommand({}), signal);
        this.#enabled = (reply.Regions ?? []).flatMap(({ RegionName }) => RegionName ?? []).filter((enabled) => enabled !== home);
        return [home, ...this.#enabled];
      } catch (error) {
        // Any region knows them all: one that is down hides no other.
        if (!(error instanceof BeltError) || error.code !== 'driver_unavailable') throw error;
        down ??= error;
      }
    }
    throw down;
  }
}
