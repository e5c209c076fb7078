import { accessSync, constants, lstatSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Readers see the old content or the new, never a part. Mode 0600, since what we write contains passwords. */
export function writeFileAtomically(file: string, content: string): void {
  const partial = `${file}.${process.pid}.new`
  writeFileSync(partial, content, { mode: 0o600 })
  renameSync(partial, file)
}

/** Returns undefined if there is no such file. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  }
}

/** Returns a function that reads what is appended to a log file from now on. The file may hold an earlier process's log. */
export function appendedTo(file: string): () => string {
  const from = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  return () => readFileSync(file).subarray(from).toString()
}

/** Creates a folder in a place where every user may write, such as /var/tmp. @throws Error if another user owns it */
export function privateFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Error(`${folder} must be a folder of the user who runs this`)
  }
  return folder
}

/** Finds a program on the PATH, or else in the other folders. */
export function findOnPath(program: string, otherFolders: readonly string[] = []): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...folders, ...otherFolders].map((folder) => join(folder, program)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
