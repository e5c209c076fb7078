import { readFileSync, rmSync } from 'node:fs'
import * as z from 'zod'
import { writeFileAtomically } from '../write-file-atomically.ts'
import { identify, isRunning } from './process-table.ts'

const registered = z.object({ role: z.string(), pid: z.int().positive(), startedAt: z.string() })

export type RegisteredProcess = z.output<typeof registered>

/** The processes of one stack, in a file that outlives us: whoever starts next can stop what we could not. */
export type Register = {
  add(role: string, pid: number): void
  running(): RegisteredProcess[]
  clear(): void
}

export function openRegister(file: string): Register {
  let known = read(file)
  return {
    add(role, pid) {
      const identity = identify(pid)
      known = known.filter(isRunning)
      if (identity) known.push({ role, ...identity })
      writeFileAtomically(file, `${JSON.stringify(known, null, 2)}\n`)
    },
    running: () => known.filter(isRunning),
    clear() {
      known = []
      rmSync(file, { force: true })
    },
  }
}

function read(file: string): RegisteredProcess[] {
  try {
    return z.array(registered).parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
