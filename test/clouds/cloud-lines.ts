/** Command lines whose cloud is one of the fakes, or moto. `more` are further lines of the configuration, beginning inside the cloud's block. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { FAKE_SUBSCRIPTION, FAKE_TENANT, type AzureFake } from '../fakes/azure/service.ts';
import type { DigitalOceanFake } from '../fakes/digitalocean/service.ts';
import type { Ec2Fake } from '../fakes/ec2/service.ts';
import type { Moto } from '../fakes/moto.ts';
import { commandLine, type CommandLine } from './command-line.ts';

const ALLOW = '  allow_from: [203.0.113.7]\n';
const AWS = { AWS_ACCESS_KEY_ID: 'AKIAFAKE', AWS_SECRET_ACCESS_KEY: 'x' };

export function digitalOceanLine(fake: DigitalOceanFake, more = ''): CommandLine {
  return commandLine(`driver: digitalocean\nregion: nyc3\ndigitalocean:\n  api_url: ${fake.apiUrl}\n${ALLOW}${more}`, { DIGITALOCEAN_ACCESS_TOKEN: 'right' });
}

export function ec2Line(fake: Ec2Fake, more = '', regions: readonly string[] = ['eu-west-1']): CommandLine {
  return commandLine(`driver: ec2\nec2:\n  endpoint: ${fake.url}\n  region: ${regions[0]}\n  regions: [${regions.join()}]\n${ALLOW}${more}`, AWS);
}

export function motoLine(moto: Moto): CommandLine {
  return commandLine(`driver: ec2\nec2:\n  regions: [${moto.region}]\n${ALLOW}`, { ...AWS, AWS_REGION: moto.region, AWS_ENDPOINT_URL: moto.url, AWS_AMI: moto.image });
}

export function azureLine(fake: AzureFake, more = ''): CommandLine {
  const line = commandLine(`driver: azure\nazure:\n${ALLOW}${more}`, {
    AZURE_SUBSCRIPTION_ID: FAKE_SUBSCRIPTION, AZURE_TENANT_ID: FAKE_TENANT, AZURE_CLIENT_ID: 'client', AZURE_CLIENT_SECRET: 'fake-secret',
    AZURE_RESOURCE_MANAGER_ENDPOINT: fake.url, AZURE_AUTHORITY_HOST: fake.url, AZURE_CA_FILE: 'ca.pem',
  });
  writeFileSync(path.join(line.folder, 'ca.pem'), fake.ca);
  return line;
}
