/**
 * Checks every request and reply of the DigitalOcean fake against DigitalOcean's published OpenAPI document, which is read beside the
 * checkout (`../shared/reference/digitalocean-openapi.json`) and not part of the project.
 */
import { existsSync, readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';

const addFormats = addFormatsModule as unknown as (ajv: Ajv) => void;
const FILE = new URL('../../../../shared/reference/digitalocean-openapi.json', import.meta.url);

/** Whether the document is there; CI fails without it, elsewhere the suite names what it skipped. */
export const contractFound = existsSync(FILE);

interface Operation {
  readonly id: string;
  readonly method: string;
  readonly pattern: RegExp;
  readonly literalParts: number;
  readonly request: ValidateFunction | null;
  readonly replies: Map<string, ValidateFunction | null>;
}

type Json = Record<string, unknown>;

/** The document, compiled on first use of each schema's operation. */
export class Contract {
  readonly #operations: Operation[] = [];

  constructor() {
    const document = JSON.parse(readFileSync(FILE, 'utf8')) as Json;
    const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
    addFormats(ajv);
    ajv.addSchema(nullableToType(document) as Json, 'do');
    const compile = (schema: unknown, pointer: string): ValidateFunction | null => (schema === undefined ? null : ajv.compile({ $ref: `do#${pointer}` }));
    for (const [path, item] of Object.entries(document['paths'] as Record<string, Json>)) {
      for (const [method, raw] of Object.entries(item)) {
        if (!['get', 'post', 'put', 'patch', 'delete'].includes(method)) continue;
        this.#operations.push(operation(document, path, method, raw as Json, compile));
      }
    }
    this.#operations.sort((a, b) => b.literalParts - a.literalParts);
  }

  /** The operation a call is, null where the document has none. */
  find(method: string, path: string): Operation | null {
    const clean = path.replace(/\/+$/, '');
    return this.#operations.find((o) => o.method === method.toLowerCase() && o.pattern.test(clean)) ?? null;
  }

  /** What is wrong with the body of a request; null when nothing is. */
  requestProblem(op: Operation, body: unknown): string | null {
    if (op.request === null || body === undefined) return null;
    return op.request(body) ? null : describe(op.request);
  }

  /** What is wrong with a reply; null when nothing is. */
  replyProblem(op: Operation, status: number, body: unknown): string | null {
    const check = op.replies.has(String(status)) ? op.replies.get(String(status)) : op.replies.get('default');
    if (check === undefined) return `status ${status} is not a reply of ${op.id}`;
    if (check === null) return null;
    return check(body) ? null : describe(check);
  }
}

function operation(document: Json, path: string, method: string, raw: Json, compile: (schema: unknown, pointer: string) => ValidateFunction | null): Operation {
  const base = `/paths/${escape(path)}/${method}`;
  const at = (pointer: string): unknown => resolve(document, pointer);
  const body = `${base}/requestBody/content/application~1json/schema`;
  const replies = new Map<string, ValidateFunction | null>();
  for (const [status, reply] of Object.entries(raw['responses'] as Record<string, Json>)) {
    const place = typeof reply['$ref'] === 'string' ? (reply['$ref'] as string).slice(1) : `${base}/responses/${status}`;
    const pointer = `${place}/content/application~1json/schema`;
    replies.set(status, compile(at(pointer), pointer));
  }
  const parts = path.split('/');
  return {
    id: raw['operationId'] as string,
    method,
    pattern: new RegExp(`^${parts.map((p) => (p.startsWith('{') ? '[^/]+' : p)).join('/')}$`),
    literalParts: parts.filter((p) => !p.startsWith('{')).length,
    request: compile(at(body), body),
    replies,
  };
}

function resolve(document: Json, pointer: string): unknown {
  let at: unknown = document;
  for (const part of pointer.split('/').slice(1)) {
    if (at === null || typeof at !== 'object') return undefined;
    at = (at as Json)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return at;
}

const escape = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

function describe(check: ValidateFunction): string {
  return (check.errors ?? []).slice(0, 5).map((e) => `${e.instancePath || '/'} ${e.message}`).join('; ');
}

/** OpenAPI 3.0 says `nullable: true`; JSON Schema says so by type. Local references get the document's own id. */
function nullableToType(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(nullableToType);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value as Json).filter(([key]) => key !== 'discriminator' && key !== 'nullable');
  const out: Json = Object.fromEntries(entries.map(([key, v]) => [key, nullableToType(v)]));
  if ((value as Json)['nullable'] !== true) return out;
  if (typeof out['type'] === 'string') return { ...out, type: [out['type'], 'null'] };
  return { anyOf: [out, { type: 'null' }] };
}
