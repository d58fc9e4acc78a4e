/**
 * Words for a POSIX shell. The one place in belt where text becomes part of a command line: whoever builds a command for a
 * machine goes through here, so that a name with a quote in it stays a name.
 */
import { assert } from '../errors.ts';

/** What no POSIX shell reads as more than itself, so that ordinary commands stay readable in logs. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-]+$/;

/**
 * One word, quoted only where it must be. A NUL byte cannot be passed to any program and is a bug of the caller.
 * A leading `=` is quoted as well: zsh expands `=word`.
 */
export function quoteWord(word: string): string {
  assert(!word.includes('\0'), 'a shell word holds no NUL byte');
  if (PLAIN.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A command line that runs exactly these words: `quoteCommand(['echo', "it's"])` is `echo 'it'\''s'`. */
export function quoteCommand(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}

/** `NAME=value` assignments to stand before a command. Names are checked, values quoted. */
export function quoteAssignments(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => {
      assert(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), `${JSON.stringify(name)} is a variable name`);
      return `${name}=${value === '' ? "''" : quoteWord(value)}`;
    })
    .join(' ');
}
