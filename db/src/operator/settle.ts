import { readSettle, SETTLE_USAGE } from './arguments.ts'
import { runCommand } from './run-command.ts'

await runCommand(SETTLE_USAGE, readSettle)
