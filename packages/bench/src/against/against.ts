import { defined } from '@cashflow/async'
import type { Benchmark, Context, Figure } from '../benchmark.ts'
import { alternate, compare } from '../rounds.ts'
import { table } from '../table.ts'
import type { Opponent } from './checkout.ts'
import { judge, ratioOf } from './ratio.ts'

/** The results of one benchmark, as they are written. */
export type Comparison = Awaited<ReturnType<typeof compareTrees>>

const OURS = 'this tree'

/** Runs the products of both trees in turn, on the same servers. */
export async function compareTrees(
  { name, figures: [rate, ...more], compared, variants }: Benchmark,
  context: Context,
  { product, commit, label }: Opponent,
) {
  await using cleanup = new AsyncDisposableStack()
  const measureIn = async (own: Context) =>
    defined((await variants(own, cleanup))[defined(compared, 'compared variant')], 'variant')
  const rounds = await alternate(
    { [OURS]: await measureIn(context), [label]: await measureIn({ ...context, product }) },
    { ...context, mirrored: true },
  )
  const { [OURS]: ours = [], [label]: theirs = [] } = rounds
  const cpu: Figure = { metric: 'cpuUs', what: 'CPU per item', unit: 'µs' }
  const figures = [defined(rate, 'rate'), cpu, ...more]
  const pairs = { ours, theirs }
  return {
    name,
    commit,
    ...judge(ratioOf(pairs, cpu), { pairs: ours.length, quick: context.quick }),
    ours,
    theirs,
    rows: figures.flatMap((figure) => compare(rounds, figure)),
    ratios: figures.map((figure) => ratioOf(pairs, figure)),
  }
}

/** Returns the report that is printed. */
export function report(
  { name, rows, ratios, ours, keepsSpeed, reason }: Comparison,
  { label }: Pick<Opponent, 'label'>,
): string {
  const confidence = (defined(ratios[0], 'ratio').confidence * 100).toFixed(1)
  const width = Math.max(...ratios.map(({ what }) => what.length))
  const lines = ratios.map(
    ({ what, median, low, high }) =>
      `${what.padEnd(width)}  ${median.toFixed(3)}  (${low.toFixed(3)} – ${high.toFixed(3)})`,
  )
  const verdicts = { true: 'keeps its speed', false: 'does not keep its speed', undefined: 'is not judged' }
  return [
    table(rows),
    '',
    `${OURS} / ${label}: median of ${ours.length} pairs (and its interval, ${confidence} % confidence)`,
    ...lines,
    '',
    `${name} ${verdicts[`${keepsSpeed}`]}: ${reason}`,
  ].join('\n')
}
