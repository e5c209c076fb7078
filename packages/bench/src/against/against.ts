import type { Alone, Benchmark, Context, Figure, Row } from '../benchmark.ts'
import { alternate, compare, type Measured } from '../rounds.ts'
import { table } from '../table.ts'
import type { Opponent } from './checkout.ts'
import { judge, type Ratio, ratioOf, type Verdict } from './ratio.ts'

/** What is written of one benchmark. */
export interface Comparison extends Verdict {
  readonly name: string
  /** The full hash of the other commit. */
  readonly commit: string
  /** What each round has measured, of this tree and of the commit. */
  readonly ours: readonly Measured[]
  readonly theirs: readonly Measured[]
  readonly rows: readonly Row[]
  readonly ratios: readonly Ratio[]
}

const OURS = 'this tree'

/** Runs the product of both trees in turn, on the same servers. */
export async function compareTrees(
  { name }: Pick<Benchmark, 'name'>,
  alone: Alone,
  context: Context,
  { product, commit, label }: Opponent,
): Promise<Comparison> {
  const rounds = await alternate<string, string>(
    {
      [OURS]: () => alone.measure(context),
      [label]: () => alone.measure({ ...context, product }),
    },
    { ...context, mirrored: true },
  )
  const { [OURS]: ours = [], [label]: theirs = [] } = rounds
  const cpu: Figure = { metric: 'cpuUs', what: 'CPU per item', unit: 'µs' }
  const figures = [{ metric: 'rate', what: alone.items, unit: '/s' }, cpu, ...(alone.more ?? [])]
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

/** What is printed of it. */
export function report(
  { name, rows, ratios, ours, keepsSpeed, reason }: Comparison,
  { label }: Pick<Opponent, 'label'>,
): string {
  const confidence = ((ratios[0]?.confidence ?? 0) * 100).toFixed(1)
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
