import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Creates a folder with a space in its name, as a checkout's path may have. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'cashflow dev-stack '))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
