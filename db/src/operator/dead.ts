#!/usr/bin/env -S node --enable-source-maps
import { DEAD_USAGE, readDead } from './arguments.ts'
import { runCommand } from './run-command.ts'

await runCommand(DEAD_USAGE, readDead)
