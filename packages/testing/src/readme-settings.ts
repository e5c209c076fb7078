import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from './repository.ts'

/** The settings of one service as the README's table has them: name → default, '' where there is none. */
export async function readmeSettings(service: string): Promise<Record<string, string>> {
  const readme = await readFile(join(REPOSITORY, 'README.md'), 'utf8')
  const rows = readme.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\| ([^|]*) \|/gm)
  const own = [...rows].filter(([, , , services]) => services?.split(', ').includes(service))
  return Object.fromEntries(own.map(([, name, value]) => [name, value ?? '']))
}
