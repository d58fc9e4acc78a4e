/**
 * Text that machines and clouds have a hand in, for a terminal: what would move the cursor, change colours or window titles, or turn letters round is
 * shown as what it is (`\x1b`), so that nobody over there writes on the operator's screen.
 */

/** C0 and C1 control characters, and those that change the direction of writing. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** One line: line breaks and tabs are shown too. */
export function printableLine(text: string): string {
  return text.replace(CONTROL, shown);
}

/** Lines, with their breaks and tabs. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(CONTROL, (character) => (character === '\n' || character === '\t' ? character : shown(character)));
}

function shown(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
}
