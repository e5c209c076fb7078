import { registerHooks } from 'node:module'
import { defined } from '@cashflow/async'
import type { BrokenBuild } from './broken-builds.ts'

/**
 * Node's `--import` of a broken build: puts a wrapper in the place of one module of the product. The wrapper exports what
 * the module exports, except for the replaced export.
 */
const { searchParams } = new URL(import.meta.url)
const build = JSON.parse(defined(searchParams.get('build') ?? undefined, 'broken build')) as BrokenBuild
const { name, service, file, exported, replacement, module = new URL('replacements.ts', import.meta.url).href } = build

const root = new URL('../../../../', import.meta.url)
const target = new URL(file, root).href
const original = `${target}?original`
const main = new URL(`services/${service}/src/main.ts`, root).href
let isReplaced = false

registerHooks({
  load(url, context, nextLoad) {
    if (url === target) return { format: 'module', source: WRAPPER, shortCircuit: true }
    const result = nextLoad(url, context)
    if (url !== main) return result
    return { ...result, source: `${CHECK}${Buffer.from(result.source as Uint8Array)}` }
  },
})

const SELF = JSON.stringify(import.meta.url)
const WRAPPER = `
  import * as original from ${JSON.stringify(original)}
  import * as replacements from ${JSON.stringify(module)}
  import { replace } from ${SELF}
  export * from ${JSON.stringify(original)}
  const replaced = replace(original, replacements)
  export { replaced as ${exported} }`
// Runs before the rest of main.ts, and after every import of main.ts. It stays on the first line, so that no line moves.
const CHECK = `(await import(${SELF})).checkReplaced();`

/** @throws Error when the module has no such export, or when there is no such replacement */
export function replace(
  originals: Readonly<Record<string, unknown>>,
  replacements: Readonly<Record<string, (value: unknown) => unknown>>,
): unknown {
  if (!(exported in originals)) throw new Error(`Broken build "${name}": ${file} has no export ${exported}`)
  const change = replacements[replacement]
  if (!change) throw new Error(`Broken build "${name}": there is no replacement ${replacement}`)
  isReplaced = true
  return change(originals[exported])
}

/** @throws Error when the service does not load the module */
export function checkReplaced(): void {
  if (!isReplaced) throw new Error(`Broken build "${name}": ${service} does not load ${file}`)
}
