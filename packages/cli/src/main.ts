#!/usr/bin/env -S node --enable-source-maps
import { createProgram } from './commands.ts'
import { runCommand } from './run-command.ts'

await runCommand(createProgram)
