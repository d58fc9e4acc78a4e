/**
 * Checks the bodies of PUTs against Azure's own resource schemas, read beside the checkout
 * (`../shared/reference/azure-arm-put-schemas.json`) and not part of the project.
 */
import { existsSync, readFileSync } from 'node:fs';
import AjvDraft04Module from 'ajv-draft-04';
import type { ValidateFunction } from 'ajv';

const FILE = new URL('../../../../shared/reference/azure-arm-put-schemas.json', import.meta.url);

/** Whether the schemas are there; CI fails without them, elsewhere the suite names what it skipped. */
export const schemasFound = existsSync(FILE);

const EXTENSIONS = 'https://schema.management.azure.com/schemas/2026-03-01/Microsoft.Compute.Extensions.json#';

interface Document {
  id: string;
  resourceDefinitions?: Record<string, { properties: { apiVersion: { enum: string[] }; type: { enum: string[] } } }>;
}
type AjvLike = { addSchema(schema: object, key?: string): void; compile(schema: object): ValidateFunction };
const AjvDraft04 = AjvDraft04Module as unknown as new (options: object) => AjvLike;

/** A checker by resource type such as `Microsoft.Compute/virtualMachines`. */
export class PutSchemas {
  readonly #checks = new Map<string, { check: ValidateFunction; apiVersion: string }>();

  constructor() {
    const text = readFileSync(FILE, 'utf8');
    const { schemas } = JSON.parse(text) as { schemas: Document[] };
    const ajv = new AjvDraft04({ strict: false, allErrors: true, validateFormats: false });
    for (const schema of schemas) ajv.addSchema(schema, schema.id);
    // The cut leaves the schemas of VM extensions out; belt sends none.
    const extensions = [...text.matchAll(/Microsoft\.Compute\.Extensions\.json#\/definitions\/(\w+)/g)].map((match) => [match[1] as string, {}]);
    ajv.addSchema({ id: EXTENSIONS, definitions: Object.fromEntries(extensions) }, EXTENSIONS);
    for (const schema of schemas) {
      for (const [name, definition] of Object.entries(schema.resourceDefinitions ?? {})) {
        const check = ajv.compile({ $ref: `${schema.id.replace(/#$/, '')}#/resourceDefinitions/${name}` });
        this.#checks.set(definition.properties.type.enum[0] as string, { check, apiVersion: definition.properties.apiVersion.enum[0] as string });
      }
    }
  }

  has(type: string): boolean {
    return this.#checks.has(type);
  }

  /** What is wrong with a PUT body; null when nothing is. Template bodies carry name, type and apiVersion, which a REST PUT has in its address. */
  problem(type: string, name: string, body: Record<string, unknown>): string | null {
    const entry = this.#checks.get(type);
    if (entry === undefined) return null;
    if (typeof body['location'] !== 'string') return '/ must have required property location';
    const { etag: _etag, id: _id, ...bare } = body;
    if (entry.check({ ...bare, name, type, apiVersion: entry.apiVersion })) return null;
    // The branch of every oneOf that stands for template expressions always fails with the other; the deepest places say what is wrong.
    const errors = (entry.check.errors ?? []).filter((e) => e.keyword !== 'oneOf' && e.params?.['pattern'] === undefined);
    return errors.slice(0, 6).map((e) => `${e.instancePath} ${e.message}`).join('; ') || 'does not match the schema';
  }
}
