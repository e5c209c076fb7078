#!/usr/bin/env -S node --enable-source-maps
import { readSettle, SETTLE_USAGE } from './arguments.ts'
import { runCommand } from './run-command.ts'

await runCommand(SETTLE_USAGE, readSettle)
