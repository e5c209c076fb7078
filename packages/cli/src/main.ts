#!/usr/bin/env -S node --enable-source-maps
import { addCommands } from './commands.ts'
import { runCommand } from './run-command.ts'

await runCommand(addCommands)
