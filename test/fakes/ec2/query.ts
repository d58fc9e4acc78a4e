/** What the fake's actions share: the form of a call, and how EC2 filters what it lists. */
import type { Region } from './state.ts';
import { listOf, textOf, type Form, type Xml } from './xml.ts';

export type Params = { [key: string]: Form };
export type Action = (region: Region, p: Params, settings: { readonly pageSizeMax: number }) => Xml;

export const texts = (form: Form | undefined): string[] => listOf(form).filter((t): t is string => typeof t === 'string');
export const tagSet = (tags: ReadonlyMap<string, string>): Xml => [...tags].map(([key, value]) => ({ key, value }));

/** The items that every filter of the call matches; `read` gives a field by EC2's name for it. */
export function filtered<T>(items: readonly T[], p: Params, read: (item: T, name: string) => string | undefined): T[] {
  const filters = listOf(p['Filter']).map((f) => ({ name: textOf(f, 'Name') ?? '', values: texts((f as Params)['Value']) }));
  const pattern = (v: string): RegExp => new RegExp(`^${v.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
  return items.filter((item) => filters.every((f) => f.values.some((v) => pattern(v).test(read(item, f.name) ?? '\0'))));
}
