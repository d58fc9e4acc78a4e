/** The wire forms of the EC2 query API: flattened form parameters in, XML out. */

/** A value of a reply: an array becomes `<item>`s, undefined is left out. */
export type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [key: string]: Xml };

/** `value` as the content of an element. */
export function toXml(value: Xml): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return (value as readonly Xml[]).map((item) => `<item>${toXml(item)}</item>`).join('');
  if (typeof value === 'object') {
    return Object.entries(value as Record<string, Xml>)
      .filter(([, v]) => v !== undefined)
      .map(([key, v]) => `<${key}>${toXml(v)}</${key}>`)
      .join('');
  }
  return String(value).replace(/[<>&]/g, (c) => (c === '<' ? '&lt;' : c === '>' ? '&gt;' : '&amp;'));
}

export type Form = string | { [key: string]: Form };

/** `A.1.B=x` as nested objects: `{A: {1: {B: 'x'}}}`. */
export function parseForm(body: string): { [key: string]: Form } {
  const root: { [key: string]: Form } = {};
  for (const [key, value] of new URLSearchParams(body)) {
    const parts = key.split('.');
    let at = root;
    for (const part of parts.slice(0, -1)) {
      const next = at[part];
      at = typeof next === 'object' ? next : ((at[part] = {}) as { [key: string]: Form });
    }
    at[parts.at(-1) as string] = value;
  }
  return root;
}

/** The members of a flattened list in the order of their numbers. */
export function listOf(form: Form | undefined): Form[] {
  if (form === undefined || typeof form === 'string') return [];
  return Object.keys(form)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => form[key] as Form);
}

/** The text under `key`; undefined where it is missing or a structure. */
export function textOf(form: Form | undefined, key: string): string | undefined {
  if (form === undefined || typeof form === 'string') return undefined;
  const value = form[key];
  return typeof value === 'string' ? value : undefined;
}
