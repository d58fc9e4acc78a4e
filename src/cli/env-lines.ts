/** The lines of `belt env`, in the words of each shell. Pure. */

export type Shell = 'bash' | 'fish' | 'powershell';
export const SHELLS: readonly Shell[] = ['bash', 'fish', 'powershell'];

const quote: Record<Shell, (text: string) => string> = {
  bash: (text) => `'${text.replaceAll("'", `'\\''`)}'`,
  fish: (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
  powershell: (text) => `'${text.replaceAll("'", "''")}'`,
};

const set: Record<Shell, (name: string, value: string) => string> = {
  bash: (name, value) => `export ${name}=${quote.bash(value)}`,
  fish: (name, value) => `set -gx ${name} ${quote.fish(value)};`,
  powershell: (name, value) => `$Env:${name} = ${quote.powershell(value)}`,
};

const unset: Record<Shell, (name: string) => string> = {
  bash: (name) => `unset ${name}`,
  fish: (name) => `set -e ${name};`,
  powershell: (name) => `Remove-Item -ErrorAction SilentlyContinue Env:\\${name}`,
};

const hint: Record<Shell, (line: string) => string> = {
  bash: (line) => `# eval $(${line})`,
  fish: (line) => `# eval (${line})`,
  powershell: (line) => `# & ${line} | Invoke-Expression`,
};

/** The shell of SHELL's value; bash's words serve every POSIX shell. */
export function shellOf(path: string | undefined): Shell {
  return /(^|\/)fish$/.test(path ?? '') ? 'fish' : 'bash';
}

/** Lines that set the variables (null: take them away), and how to have the shell read them. */
export function envLines(shell: Shell, variables: Readonly<Record<string, string | null>>, line: string): string[] {
  const lines = Object.entries(variables).map(([name, value]) => (value === null ? unset[shell](name) : set[shell](name, value)));
  return [...lines, hint[shell](line)];
}
