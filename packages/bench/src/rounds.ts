import { median } from '@cashflow/testing'
import type { Benchmark, Context, Figure, Measured, Row } from './benchmark.ts'

/** The figures of each variant, one for each round. */
export type Rounds<Variant extends string, Metric extends string> = Readonly<Record<Variant, Measured<Metric>[]>>

/**
 * Runs all variants one after the other, and repeats that for each round: A B C, A B C. Changes of the machine, and
 * what earlier runs leave in its caches, then affect all variants alike. Each variant sets up and cleans up by itself.
 *
 * @param options.mirrored whether every second round runs backwards: A B, B A. A machine that becomes slower and slower
 * then favours neither variant
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

/** Runs a benchmark. @returns the rows of all its figures */
export async function measureRows(
  { figures, ratios = [], roundsMax = Number.POSITIVE_INFINITY, variants }: Benchmark,
  context: Context,
): Promise<Row[]> {
  await using cleanup = new AsyncDisposableStack()
  const rounds = await alternate<string, string>(await variants(context, cleanup), {
    ...context,
    rounds: Math.min(context.rounds, roundsMax),
  })
  return figures.flatMap((figure) => compare(rounds, { ...figure, ratios }))
}

export interface Comparison<Variant extends string, Metric extends string> extends Figure<Metric> {
  /** Pairs of variants whose medians are divided: the first by the second. */
  readonly ratios?: readonly (readonly [of: Variant, to: Variant])[]
}

/** Returns one row for each variant, or one for each of its ratios: medians over the rounds, with their spread. */
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
