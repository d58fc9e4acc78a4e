/**
 * `node[1:10]` → `node1` … `node10`. The grammar, as in the book of 2016 and a little more:
 *
 *     ranges := range ("," range)*
 *     range  := (text | "[" item ("," item)* "]")+
 *     item   := number | number ":" number        first ≤ last
 *
 * A first number with leading zeros pads all of its item to its width. The leftmost bracket turns slowest. An error points at the column.
 */
import { BeltError } from '../errors.ts';
import { nameProblem, NAMES_MAX } from './names.ts';

interface Item {
  readonly first: number;
  readonly last: number;
  /** Digits at least, 0 for none. */
  readonly width: number;
}
type Part = { readonly text: string } | { readonly items: readonly Item[] };

/** The largest number in a bracket: it keeps names short and arithmetic exact. */
const NUMBER_MAX = 999_999_999;

/** The names of one range, in order. Throws `range` with the column for anything malformed, empty, reversed or larger than 10,000 names. */
export function expandRange(text: string): string[] {
  return expandRanges([text]);
}

/** The names of several ranges in order, each name once. Throws as {@link expandRange}. */
export function expandRanges(texts: readonly string[]): string[] {
  const names = new Set<string>();
  for (const text of texts) {
    for (const { parts, column } of parse(text)) {
      let count = 1;
      for (const part of parts) count *= 'items' in part ? size(part.items) : 1;
      if (count > NAMES_MAX || names.size + count > NAMES_MAX * 2) throw tooMany(text, column);
      for (const name of product(parts)) {
        const problem = nameProblem(name);
        if (problem !== null) throw rangeError(text, column, problem);
        names.add(name);
      }
      if (names.size > NAMES_MAX) throw tooMany(text, column);
    }
  }
  return [...names];
}

function size(items: readonly Item[]): number {
  return items.reduce((sum, item) => sum + item.last - item.first + 1, 0);
}

function product(parts: readonly Part[]): string[] {
  let names = [''];
  for (const part of parts) {
    const texts = 'items' in part ? part.items.flatMap(itemTexts) : [part.text];
    names = names.flatMap((name) => texts.map((text) => name + text));
  }
  return names;
}

function itemTexts(item: Item): string[] {
  return Array.from({ length: item.last - item.first + 1 }, (_, n) => String(item.first + n).padStart(item.width, '0'));
}

/** Cuts the text at the commas outside brackets and reads each piece. */
function parse(text: string): { parts: Part[]; column: number }[] {
  if (text.trim() === '') throw rangeError(text, 0, 'a range is empty');
  const ranges: { parts: Part[]; column: number }[] = [];
  let parts: Part[] = [];
  let start = 0;
  let at = 0;
  const close = (): void => {
    if (parts.length === 0) throw rangeError(text, at, 'a name is missing');
    ranges.push({ parts, column: start });
    parts = [];
  };
  while (at < text.length) {
    const character = text[at] as string;
    if (character === ',') {
      close();
      at += 1;
      start = at;
    } else if (character === '[') {
      const bracket = parseBracket(text, at);
      parts.push({ items: bracket.items });
      at = bracket.end;
    } else if (character === ']') {
      throw rangeError(text, at, '"]" without "["');
    } else {
      const end = at + (/^[^[\],]+/.exec(text.slice(at)) as RegExpExecArray)[0].length;
      checkText(text, at, end);
      parts.push({ text: text.slice(at, end) });
      at = end;
    }
  }
  close();
  return ranges;
}

function checkText(text: string, start: number, end: number): void {
  for (let at = start; at < end; at += 1) {
    const character = text[at] as string;
    if (/[a-z0-9-]/.test(character)) continue;
    if (/[A-Z]/.test(character)) throw rangeError(text, at, `"${character}": names are lower case`);
    if (character === ':') throw rangeError(text, at, '":" stands in brackets only');
    throw rangeError(text, at, `"${character}" cannot stand in a name: letters, digits and "-" only`);
  }
}

function parseBracket(text: string, open: number): { items: Item[]; end: number } {
  const end = text.indexOf(']', open);
  if (end === -1) throw rangeError(text, open, '"[" is not closed');
  if (end === open + 1) throw rangeError(text, open, 'the brackets are empty');
  const items: Item[] = [];
  let column = open + 1;
  for (const piece of text.slice(open + 1, end).split(',')) {
    items.push(parseItem(text, piece, column));
    column += piece.length + 1;
  }
  return { items, end: end + 1 };
}

function parseItem(text: string, piece: string, column: number): Item {
  if (piece === '') throw rangeError(text, column, 'a number is missing');
  const wrong = /[^0-9:]/.exec(piece);
  if (wrong !== null) {
    const why = wrong[0] === '-' ? 'a range is written first:last, with ":"' : `"${wrong[0]}" is not a number`;
    throw rangeError(text, column + wrong.index, why);
  }
  const numbers = piece.split(':');
  if (numbers.length > 2) throw rangeError(text, column + piece.lastIndexOf(':'), 'a range has one ":"');
  const [first = '', last = first] = numbers;
  if (first === '') throw rangeError(text, column, 'the first number is missing');
  if (last === '') throw rangeError(text, column + piece.length, 'the last number is missing');
  if (Number(first) > NUMBER_MAX || Number(last) > NUMBER_MAX) throw rangeError(text, column, `numbers end at ${NUMBER_MAX}`);
  if (Number(first) > Number(last)) throw rangeError(text, column, `${first}:${last} is reversed`, `${last}:${first}`);
  const width = first.length > 1 && first.startsWith('0') ? first.length : 0;
  return { first: Number(first), last: Number(last), width };
}

function tooMany(text: string, column: number): BeltError {
  return rangeError(text, column, `more than ${NAMES_MAX.toLocaleString('en')} names`, 'use several smaller ranges');
}

function rangeError(text: string, column: number, problem: string, way?: string): BeltError {
  const message = `bad range at column ${column + 1}: ${problem}\n  ${text}\n  ${' '.repeat(column)}^`;
  return new BeltError('range', message, { next: way ?? 'write ranges like node[1:10], node[01:10], node[1,3,7:9] or mg0,node[1:3], in quotes' });
}
