import { renameSync, writeFileSync } from 'node:fs'

/** Readers see the old content or the new, never a part. Mode 0600: what we write holds passwords. */
export function writeFileAtomically(file: string, content: string): void {
  const partial = `${file}.${process.pid}.new`
  writeFileSync(partial, content, { mode: 0o600 })
  renameSync(partial, file)
}
