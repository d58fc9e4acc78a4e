/** `belt completion SHELL`: the script to put into the shell's start-up file. */
import { BeltError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { completionScript, SHELLS, type Shell } from '../completion-scripts.ts';
import { ALL_COMMANDS } from '../commands.ts';

export const command = defineCommand({
  positionals: { shell: 'one' },
  options: {},
  examples: ['eval "$(belt completion bash)"', 'eval "$(belt completion zsh)"', 'belt completion fish | source'],
  async run(ctx, args) {
    if (!SHELLS.includes(args.shell as Shell)) throw new BeltError('usage', `there is no completion for '${args.shell}'`, { next: `belt completion ${SHELLS.join('|')}` });
    ctx.ui.raw('stdout', completionScript(args.shell as Shell, ALL_COMMANDS));
  },
});
