import { readFileSync, rmSync } from 'node:fs'
import { writeFileAtomically } from '../write-file-atomically.ts'

/** What other programs may know of a running stack. A server that was given from outside has no process here. */
export type StackFile = {
  api: string[]
  database_url: string
  rabbitmq_url: string
  rabbitmq_management_url: string
  processes: { postgres?: number; rabbitmq?: number; api: number[]; relay: number[]; worker: number[] }
}

export function writeStackFile(file: string, content: StackFile): void {
  writeFileAtomically(file, `${JSON.stringify(content, null, 2)}\n`)
}

export function readStackFile(file: string): StackFile | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as StackFile
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function removeStackFile(file: string): void {
  rmSync(file, { force: true })
}
