/** What spot instances cost now: the one price that EC2's own API tells. */
import type * as Sdk from '@aws-sdk/client-ec2';
import type { SpotPrices } from '../../src/provision/sizes.ts';
import { realPace } from '../../src/provision/rate-limit.ts';
import type { Ec2Ports } from './api.ts';
import type { Ec2Options } from './options.ts';
import { Regions } from './regions.ts';

export function createSpotPrices(options: Ec2Options, ports: Ec2Ports = {}): SpotPrices {
  const regions = new Regions(options, ports);
  return async (types, names, signal) => {
    // A history that begins now holds the price of each zone that is in force.
    const input = { InstanceTypes: [...types] as Sdk._InstanceType[], ProductDescriptions: ['Linux/UNIX'], StartTime: new Date((ports.pace ?? realPace).now()), MaxResults: 1000 };
    const { found } = await regions.ask(names, async (region) => {
      const reply = await region.look().call<Sdk.DescribeSpotPriceHistoryCommandOutput>('describe', new region.sdk.DescribeSpotPriceHistoryCommand(input), signal);
      return (reply.SpotPriceHistory ?? []).map(({ InstanceType, SpotPrice }) => ({ place: `${region.name}/${InstanceType}`, price: Number(SpotPrice) }));
    });
    const dearest = new Map<string, number>();
    // EC2 chooses the zone, so the dearest one is what it may cost.
    for (const { place, price } of found) if (Number.isFinite(price)) dearest.set(place, Math.max(price, dearest.get(place) ?? 0));
    return dearest;
  };
}
