import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Benchmark, Row } from './benchmark.ts'

/** Writes `<dir>/<name>.json`, which replaces that of an earlier run. */
export function writeResults(dir: string, { name }: Pick<Benchmark, 'name'>, rows: readonly Row[]): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, `${name}.json`), `${JSON.stringify({ name, rows }, null, 2)}\n`)
}
