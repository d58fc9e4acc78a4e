/** Completion of commands for shells. zsh takes brackets in words for file patterns and refuses `node[1:10]`; its script makes `belt` an exception. */
import type { CommandEntry } from './commands.ts';
import { valuedFlags } from './split.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Word {
  readonly word: string;
  readonly summary: string;
}

function firstWords(entries: readonly CommandEntry[]): Word[] {
  const words = new Map<string, Word>();
  for (const { path, summary } of entries) {
    const [first = '', second] = path.split(' ');
    if (!words.has(first)) words.set(first, { word: first, summary: second === undefined ? summary : `${first} commands` });
  }
  return [...words.values()];
}

/** Second words by first word. */
function secondWords(entries: readonly CommandEntry[]): Map<string, Word[]> {
  const groups = new Map<string, Word[]>();
  for (const { path, summary } of entries) {
    const [first = '', second] = path.split(' ');
    if (second !== undefined) groups.set(first, [...(groups.get(first) ?? []), { word: second, summary }]);
  }
  return groups;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export function completionScript(shell: Shell, entries: readonly CommandEntry[]): string {
  const first = firstWords(entries);
  const second = secondWords(entries);
  const plain = (words: readonly Word[]): string => words.map((one) => one.word).join(' ');
  if (shell === 'fish') return fishScript(first, second);
  const cases = [...second].map(([word, words]) => `    ${word}) choices='${plain(words)}' ;;`).join('\n');
  const choose = `  case $at in
  1) choices='${plain(first)}' ;;
  2) case $group in
${cases}
    esac ;;
  esac`;
  return shell === 'bash' ? bashScript(choose) : zshScript(choose);
}

const VALUED = valuedFlags().join('|');

/** Which word of the command the cursor is at (`at`), and the first one (`group`): flags and their values before it do not count. bash makes three words of `--cluster=x`. */
function bashScript(choose: string): string {
  return `_belt() {
  local i=1 at=1 group= choices=
  while [ "$i" -lt "$COMP_CWORD" ]; do
    case \${COMP_WORDS[i]} in
    ${VALUED}) i=$((i + 1)); [ "\${COMP_WORDS[i]}" = = ] && i=$((i + 1)) ;;
    -*) ;;
    *) [ "$at" -eq 1 ] && group=\${COMP_WORDS[i]}; at=$((at + 1)) ;;
    esac
    i=$((i + 1))
  done
  # Past the cursor: it is at the value of a flag.
  [ "$i" -gt "$COMP_CWORD" ] && at=0
${choose}
  COMPREPLY=($(compgen -W "$choices" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _belt belt
`;
}

function zshScript(choose: string): string {
  return `alias belt='noglob belt'
_belt() {
  local i=2 at=1 group= choices=
  while [ "$i" -lt "$CURRENT" ]; do
    case \${words[i]} in
    ${VALUED}) i=$((i + 1)) ;;
    -*) ;;
    *) [ "$at" -eq 1 ] && group=\${words[i]}; at=$((at + 1)) ;;
    esac
    i=$((i + 1))
  done
  [ "$i" -gt "$CURRENT" ] && at=0
${choose}
  [ -n "$choices" ] && compadd -- \${=choices} || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _belt belt
`;
}

function fishScript(first: readonly Word[], second: ReadonlyMap<string, readonly Word[]>): string {
  const lines = first.map(({ word, summary }) => `complete -c belt -f -n __fish_use_subcommand -a ${word} -d ${quoted(summary)}`);
  for (const [group, words] of second) {
    const names = words.map((one) => one.word).join(' ');
    for (const { word, summary } of words) lines.push(`complete -c belt -f -n '__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${names}' -a ${word} -d ${quoted(summary)}`);
  }
  return `${lines.join('\n')}\n`;
}
