import type { ResolvedAnswer } from '../../answers.ts'
import { counted } from '../text/digits.ts'
import { visibleText } from '../text/visible.ts'

const PAST = { requeue: 'requeued', discard: 'discarded' } as const
/** Refusals that are listed. The others are counted. */
const SHOWN_MAX = 5

/** What was done with dead letters, and why some were left. */
export function outcomeText(act: 'requeue' | 'discard', { results }: ResolvedAnswer): string {
  const left = results.filter(({ done }) => !done)
  const done = results.length - left.length
  const head = `${counted(done, 'dead letter')} ${done === 1 ? 'was' : 'were'} ${PAST[act]}.`
  if (left.length === 0) return head
  const reasons = left.slice(0, SHOWN_MAX).map(({ id, why }) => `${id}: ${visibleText(why ?? 'no reason is known')}`)
  const more = left.length > SHOWN_MAX ? `; and ${left.length - SHOWN_MAX} more` : ''
  return `${head} ${counted(left.length, 'dead letter')} ${left.length === 1 ? 'was' : 'were'} left: ${reasons.join('; ')}${more}.`
}
