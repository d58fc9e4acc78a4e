/** Completion of commands for shells. zsh takes brackets in words for file patterns and refuses `node[1:10]`; its script makes `belt` an exception. */
import type { CommandEntry } from './commands.ts';

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
  const cases = [...second].map(([word, words]) => `    ${word}) words='${plain(words)}' ;;`).join('\n');
  const choose = `  local words='${plain(first)}'\n  if [ "$at" -gt 1 ]; then\n    case $group in\n${cases}\n    *) words='' ;;\n    esac\n  fi`;
  if (shell === 'bash') {
    return `_belt() {\n  local at=$COMP_CWORD group=\${COMP_WORDS[1]}\n${choose}\n  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))\n}\ncomplete -o default -F _belt belt\n`;
  }
  return `alias belt='noglob belt'\n_belt() {\n  local at=$((CURRENT - 1)) group=\${words[2]}\n${choose.replaceAll('words=', 'choices=').replace('local words', 'local choices')}\n  [ -n "$choices" ] && compadd -- \${=choices} || _files\n}\n(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\ncompdef _belt belt\n`;
}

function fishScript(first: readonly Word[], second: ReadonlyMap<string, readonly Word[]>): string {
  const lines = first.map(({ word, summary }) => `complete -c belt -f -n __fish_use_subcommand -a ${word} -d ${quoted(summary)}`);
  for (const [group, words] of second) {
    const names = words.map((one) => one.word).join(' ');
    for (const { word, summary } of words) lines.push(`complete -c belt -f -n '__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${names}' -a ${word} -d ${quoted(summary)}`);
  }
  return `${lines.join('\n')}\n`;
}
