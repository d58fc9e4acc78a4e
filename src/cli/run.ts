/** One command line from words to exit code. Nothing here ends the process, so that tests run lines by the hundred in one. */
import { BeltError, EXIT, isBeltError } from '../errors.ts';
import { createUi, type Output } from '../ui/ui.ts';
import { COMMAND_GROUPS, ALL_COMMANDS } from './commands.ts';
import { Context, type Ports } from './context.ts';
import { groupHelp, mainHelp } from './help.ts';
import { splitLine } from './split.ts';

export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: NodeJS.ReadStream | null;
}

/** Runs a line and says what the process should exit with. */
export async function run(argv: readonly string[], terminal: Terminal, ports: Ports, version: string): Promise<number> {
  // Which flags stand before a cut-off command cannot be known before the line is split; for errors of the split itself the plain words decide.
  let ui = makeUi(terminal, ports, { json: argv.includes('--json'), debug: argv.includes('--debug'), yes: false });
  try {
    const line = splitLine(argv, ALL_COMMANDS);
    if (line.entry === null) return overview(line.group, line.own, terminal, version);
    const [{ parseLine, commandHelp }, { command }] = await Promise.all([import('./parse.ts'), line.entry.load()]);
    const parsed = await parseLine(line.entry, command, line.own, line.rest);
    if (parsed.help) {
      terminal.stdout.write(`${await commandHelp(line.entry, command)}\n`);
      return EXIT.done;
    }
    ui = makeUi(terminal, ports, parsed.flags);
    const status = await command.run(new Context(ports, ui, parsed.flags, line.entry.path), parsed.args);
    return status ?? EXIT.done;
  } catch (error) {
    const shown = ports.signal.aborted ? interrupted(error) : error;
    ui.error(shown);
    if (ports.signal.aborted) return EXIT.interrupted;
    return isBeltError(shown) ? shown.exit : EXIT.failed;
  }
}

/** What is said after Ctrl-C: what was cut short, and that nothing is lost by it. */
function interrupted(error: unknown): BeltError {
  // Whatever was under way says in its own words that it was called off, and none of them is for people.
  const cut = isBeltError(error) ? error : new BeltError('interrupted', 'interrupted', { cause: error });
  return cut.next === undefined ? new BeltError(cut.code, cut.message, { machine: cut.machine, cause: cut, next: 'the same command again goes on from here' }) : cut;
}

function makeUi(terminal: Terminal, ports: Ports, flags: { json: boolean; debug: boolean; yes: boolean }) {
  return createUi({ ...terminal, json: flags.json, debug: flags.debug, yes: flags.yes, color: !ports.env['NO_COLOR'] && ports.env['TERM'] !== 'dumb' });
}

/** `belt`, `belt --help`, `belt --version`, `belt cluster`. */
function overview(group: string | null, own: readonly string[], terminal: Terminal, version: string): number {
  if (own.includes('--version')) {
    terminal.stdout.write(`belt ${version}\n`);
    return EXIT.done;
  }
  const text = group === null ? mainHelp(COMMAND_GROUPS) : groupHelp(group, ALL_COMMANDS);
  if (own.includes('--help') || own.includes('-h')) {
    terminal.stdout.write(`${text}\n`);
    return EXIT.done;
  }
  const stray = own.find((word) => word !== '--json' && word !== '--debug');
  if (stray !== undefined || group !== null) {
    const message = group === null ? `there is no flag '${stray}' without a command` : `belt ${group} wants a second word`;
    throw new BeltError('usage', message, { next: group === null ? 'belt --help' : `belt ${group} --help` });
  }
  terminal.stdout.write(`${text}\n`);
  return EXIT.done;
}
