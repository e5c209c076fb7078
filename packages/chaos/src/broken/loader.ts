import { registerHooks } from 'node:module'
import type { BrokenBuild, Patch } from './broken-build.ts'

/** Node's `--import`, as `nodeArgumentsOf` has it: replaces text in source files as they are loaded. */
const { name, service, patches } = JSON.parse(new URL(import.meta.url).searchParams.get('build') ?? '') as BrokenBuild

const root = new URL('../../../../', import.meta.url)
const main = new URL(`services/${service}/src/main.ts`, root).href
const byUrl = Map.groupBy(patches, ({ file }) => new URL(file, root).href)
const loaded = new Set<string>()

registerHooks({
  load(url, context, nextLoad) {
    const result = nextLoad(url, context)
    const own = byUrl.get(url) ?? []
    if (own.length === 0 && url !== main) return result
    loaded.add(url)
    const source = own.reduce(patch, Buffer.from(result.source as Uint8Array).toString())
    return { ...result, source: url === main ? `${CHECK}${source}` : source }
  },
})

// Runs before the rest of main.ts, and after all that it imports was loaded. On its first line, so that no line moves.
const CHECK = `(await import(${JSON.stringify(import.meta.url)})).checkLoaded();`

/** @throws Error when a patch was for a file that the service does not load */
export function checkLoaded(): void {
  for (const [url, [first]] of byUrl)
    if (!loaded.has(url)) throw new Error(`Broken build "${name}": ${service} does not load ${first?.file}`)
}

function patch(source: string, { file, from, to }: Patch): string {
  const times = source.split(from).length - 1
  if (times !== 1) throw new Error(`Broken build "${name}": ${file} has ${times} times, not once: ${from}`)
  return source.replace(from, () => to)
}
