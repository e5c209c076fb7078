import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from './repository.ts'

/** The settings of one service as the table of docs/settings.md has them: name → default, '' where there is none. */
export async function readmeSettings(service: string): Promise<Record<string, string>> {
  const page = await readFile(join(REPOSITORY, 'docs/settings.md'), 'utf8')
  const rows = page.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\| ([^|]*) \|/gm)
  const own = [...rows].filter(([, , , services]) => services?.split(', ').includes(service))
  return Object.fromEntries(own.map(([, name, value]) => [name, value ?? '']))
}
