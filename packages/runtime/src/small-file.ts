import { readFileSync, statSync } from 'node:fs'

const BYTES_MAX = 1_048_576
const PATH = /^[\w.@/~-]{1,128}$/

/**
 * Reads a file with a secret or with certificates. Reading a pipe could wait forever, and a huge file would stop the process
 * for seconds.
 *
 * @throws Error whose message is a code of the operating system, or says that it is no file or too large
 */
export function readSmallFile(path: string): Buffer {
  try {
    const stat = statSync(path)
    if (!stat.isFile()) throw new Error('it is not a file')
    if (stat.size > BYTES_MAX) throw new Error('it has over 1 MB')
    return readFileSync(path)
  } catch (error) {
    throw new Error((error as NodeJS.ErrnoException).code ?? (error as Error).message)
  }
}

/** A path for a message. Another text may be the secret itself, which an operator gave instead of its file. */
export function shownPath(path: string | undefined): string {
  return path !== undefined && PATH.test(path) ? path : '(not shown: it does not look like a path)'
}
