import { mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes that one read of a file takes at most. */
const READ_BYTES_MAX = 4 * 1024 * 1024

export type SandboxFiles = ReturnType<typeof sandboxFiles>

/** The places of what a sandbox keeps. The folder is of this user alone. */
export function sandboxFiles(stateDir: string) {
  const folder = join(stateDir, 'sandbox')
  return {
    folder,
    /** What the runner was answered, a line for each payment. */
    answers: join(folder, 'answers.jsonl'),
    /** What the simulated provider charged. All workers append to it. */
    charges: join(folder, 'charges.jsonl'),
  }
}

/** Empties both files, and creates them first. Workers that have one open go on at its beginning. */
export function emptyFiles({ folder, answers, charges }: SandboxFiles): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const file of [answers, charges]) writeFileSync(file, '', { mode: 0o600 })
}

/** Returns a function that reads the lines which were appended since its last call, 4 MiB at most. Half a line stays for later. */
export function createTail(file: string): () => Promise<string[]> {
  let offset = 0
  return async () => {
    await using handle = await open(file)
    const { size } = await handle.stat()
    if (size < offset) offset = 0
    const bytes = Buffer.alloc(Math.min(size - offset, READ_BYTES_MAX))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset)
    const end = bytes.subarray(0, bytesRead).lastIndexOf('\n') + 1
    offset += end
    return end === 0 ? [] : bytes.toString('utf8', 0, end - 1).split('\n')
  }
}
