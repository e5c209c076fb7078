import { defined } from '@cashflow/async'
import { median } from '@cashflow/testing'
import type { Figure, Measured } from '../benchmark.ts'
import { type Interval, medianInterval } from '../statistics.ts'

/** A metric of this tree, divided by the same metric of the other commit in the same round. */
export interface Ratio extends Figure, Interval {
  readonly median: number
}

/**
 * Returns the median of the pairs' ratios, and its interval. A slow minute of the machine affects both runs of a pair.
 */
export function ratioOf({ ours, theirs }: Record<'ours' | 'theirs', readonly Measured[]>, figure: Figure): Ratio {
  const ratios = ours.map(
    (own, round) => defined(own[figure.metric], figure.what) / defined(theirs[round]?.[figure.metric], figure.what),
  )
  return { ...figure, median: median(ratios), ...medianInterval(ratios) }
}

export interface Verdict {
  /** Undefined when the figures allow no verdict. */
  readonly keepsSpeed: boolean | undefined
  readonly reason: string
}

const PAIRS_MIN = 7
const ABOVE_MAX = 1.03

/**
 * Decides whether this tree keeps its speed: the median of CPU per item is at most 3 % above, or the interval holds
 * 1.00.
 */
export function judge(
  { median, low, high }: Pick<Ratio, 'median' | 'low' | 'high'>,
  { pairs, quick }: { readonly pairs: number; readonly quick: boolean },
): Verdict {
  if (quick) return { keepsSpeed: undefined, reason: 'the figures of --quick mean nothing' }
  if (pairs < PAIRS_MIN)
    return { keepsSpeed: undefined, reason: `a verdict needs ${PAIRS_MIN} pairs, and there are ${pairs}` }
  const percent = Math.abs((median - 1) * 100).toFixed(1)
  const holdsOne = low <= 1 && high >= 1
  const change = `the median of CPU per item is ${percent} % ${median > 1 ? 'above' : 'below'}`
  const interval = holdsOne ? 'the interval holds 1.00' : `the interval is ${low > 1 ? 'above' : 'below'} 1.00`
  return { keepsSpeed: median <= ABOVE_MAX || holdsOne, reason: `${change}, and ${interval}` }
}
