/** One question on a terminal, answered with y or yes. */

/** Asks once; anything but `y` or `yes`, the end of input among it, is a no. */
export async function ask(input: NodeJS.ReadableStream, write: (text: string) => void, question: string): Promise<boolean> {
  write(`${question} [y/N] `);
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input });
  return new Promise((resolve) => {
    lines.once('line', (line) => {
      resolve(/^\s*y(es)?\s*$/i.test(line));
      lines.close();
    });
    lines.once('close', () => resolve(false));
  });
}
