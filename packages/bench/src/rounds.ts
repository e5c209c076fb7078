import { median } from '@cashflow/testing'
import type { Context, Figure, Row } from './benchmark.ts'

/** What one run of a variant has measured, by metric: `{ rate: 1850, p99Ms: 31 }`. */
export type Measured<Metric extends string = string> = Readonly<Record<Metric, number>>

/** What each variant has measured, one for each round. */
export type Rounds<Variant extends string, Metric extends string> = Readonly<Record<Variant, Measured<Metric>[]>>

/**
 * Runs all variants one after the other, and that again for each round, A B C, A B C: what the machine does meanwhile,
 * and what earlier runs leave in its caches, meets all of them alike. Each variant sets up and clears away by itself.
 *
 * @param options.mirrored whether every second round runs backwards, A B, B A: a machine that gets slower and slower
 *   then favours neither
 */
export async function alternate<Variant extends string, Metric extends string>(
  variants: Readonly<Record<Variant, () => Promise<Measured<Metric>>>>,
  { rounds, say, signal, mirrored = false }: Pick<Context, 'rounds' | 'say' | 'signal'> & { mirrored?: boolean },
): Promise<Rounds<Variant, Metric>> {
  const names = Object.keys(variants) as Variant[]
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Rounds<Variant, Metric>
  for (let round = 1; round <= rounds; round++)
    for (const name of mirrored && round % 2 === 0 ? names.toReversed() : names) {
      signal.throwIfAborted()
      say(`round ${round} of ${rounds}: ${name}`)
      results[name].push(await variants[name]())
    }
  return results
}

export interface Comparison<Variant extends string, Metric extends string> extends Figure<Metric> {
  /** Pairs whose medians are divided: the first one's by the second one's. */
  readonly ratios?: readonly (readonly [of: Variant, to: Variant])[]
}

/** One row for each variant, or for each ratio of it: medians over the rounds, with their spread. */
export function compare<Variant extends string, Metric extends string>(
  rounds: Rounds<Variant, Metric>,
  { metric, what, unit, ratios = [] }: Comparison<NoInfer<Variant>, NoInfer<Metric>>,
): Row[] {
  const named = (variant: Variant) => `${variant}: ${what}`
  const valuesOf = (variant: Variant) => rounds[variant].map((measured) => measured[metric])
  return (Object.keys(rounds) as Variant[]).flatMap((variant): Row[] => {
    const values = valuesOf(variant)
    const value = median(values)
    const row: Row = { what: named(variant), value, unit, spread: [Math.min(...values), Math.max(...values)] }
    const own = ratios.filter(([of]) => of === variant)
    if (own.length === 0) return [row]
    return own.map(([, to]) => ({ ...row, ratio_to: named(to), ratio: value / median(valuesOf(to)) }))
  })
}
