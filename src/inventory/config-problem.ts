/** What is wrong with a configuration, in sentences. */

/** One mistake; `place` is `file:line`, a variable or a flag. */
export interface ConfigProblem {
  readonly place: string;
  readonly message: string;
}

export function problemLines(problems: readonly ConfigProblem[]): string[] {
  return problems.map((problem) => `${problem.place}: ${problem.message}`);
}

/** What a schema says is wrong, as one of belt's sentences. */
export function complaint(issue: { readonly message: string }): string {
  const [, expected, received] = /^Invalid [^:]+: Expected (.+) but received (.+)$/.exec(issue.message) ?? [];
  if (expected === 'never') return 'there is no such key';
  return expected === undefined ? issue.message : `must be ${expected.replace(/^\((.*) \| undefined\)$/, '$1')}, not ${received}`;
}
