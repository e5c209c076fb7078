import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

export const REPOSITORY = resolve(import.meta.dirname, '../../..')

/** One service's settings from the table of docs/settings.md, by name, with their defaults; '' is no default. */
export async function documentedSettings(service: string): Promise<Record<string, string>> {
  const page = await readFile(join(REPOSITORY, 'docs/settings.md'), 'utf8')
  const rows = page.matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\| ([^|]*) \|/gm)
  const own = [...rows].filter(([, , , services]) => services?.split(', ').includes(service))
  return Object.fromEntries(own.map(([, name, value]) => [name, value ?? '']))
}
