import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes `<dir>/<file>.json`, which replaces that of an earlier run. */
export function writeResults(dir: string, file: string, results: object): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, `${file}.json`), `${JSON.stringify(results, null, 2)}\n`)
}
