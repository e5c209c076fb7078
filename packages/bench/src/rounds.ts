import { defined } from '@cashflow/async'
import { median } from '@cashflow/testing'
import type { Benchmark, Context, Figure, Measured, Row, Variants } from './benchmark.ts'

/** The figures of each variant, one for each round. */
export type Rounds = Readonly<Record<string, readonly Measured[]>>

/**
 * Runs all variants one after the other, and repeats that for each round: A B C, A B C. Changes of the machine, and
 * what earlier runs leave in its caches, then affect all variants alike. Each variant sets up and cleans up by itself.
 *
 * @param options.mirrored whether every second round runs backwards: A B, B A. A machine that becomes slower and slower
 * then favours neither variant
 */
export async function alternate(
  variants: Variants,
  { rounds, say, signal, mirrored = false }: Pick<Context, 'rounds' | 'say' | 'signal'> & { mirrored?: boolean },
): Promise<Rounds> {
  const all = Object.entries(variants).map(([name, run]) => ({ name, run, results: [] as Measured[] }))
  for (let round = 1; round <= rounds; round++)
    for (const { name, run, results } of mirrored && round % 2 === 0 ? all.toReversed() : all) {
      signal.throwIfAborted()
      say(`round ${round} of ${rounds}: ${name}`)
      results.push(await run())
    }
  return Object.fromEntries(all.map(({ name, results }) => [name, results]))
}

/** Runs a benchmark. @returns the rows of all its figures */
export async function measureRows(
  { figures, ratios = [], roundsMax = Number.POSITIVE_INFINITY, variants }: Benchmark,
  context: Context,
): Promise<Row[]> {
  await using cleanup = new AsyncDisposableStack()
  const rounds = Math.min(context.rounds, roundsMax)
  const results = await alternate(await variants(context, cleanup), { ...context, rounds })
  return figures.flatMap((figure) => compare(results, { ...figure, ratios }))
}

/** Returns one row for each variant, or one for each of its ratios: medians over the rounds, with their spread. */
export function compare(
  rounds: Rounds,
  { metric, what, unit, ratios = [] }: Figure & Pick<Benchmark, 'ratios'>,
): Row[] {
  const named = (variant: string) => `${variant}: ${what}`
  const valuesOf = (variant: string) =>
    defined(rounds[variant], variant).map((measured) => defined(measured[metric], metric))
  return Object.keys(rounds).flatMap((variant): Row[] => {
    const values = valuesOf(variant)
    const value = median(values)
    const row: Row = { what: named(variant), value, unit, spread: [Math.min(...values), Math.max(...values)] }
    const own = ratios.filter(([of]) => of === variant)
    if (own.length === 0) return [row]
    return own.map(([, to]) => ({ ...row, ratio_to: named(to), ratio: value / median(valuesOf(to)) }))
  })
}
