import { LANES } from '@cashflow/outbox'

/** Where the next pass begins, and how many lanes it looks at. */
export interface Turn {
  readonly start: number
  readonly span: number
}

export const FIRST_TURN: Turn = { start: 0, span: LANES }

/** @param nextLane where the pass says that the rotation goes on */
export function afterPass({ span }: Turn, nextLane: number): Turn {
  return { start: nextLane, span: Math.min(LANES, span + 1) }
}

/**
 * After a pass for which a statement took too long. Without floors there may be more dead tuples than there is time to
 * read: the next pass begins with the same lanes and looks at half as many, so that each comes into a pass that has the
 * time, or is tried alone.
 *
 * @param begun the turn that the pass was made with; others may have changed it since
 */
export function afterTimeout({ span }: Turn, begun: Turn): Turn {
  return {
    start: begun.span === 1 ? (begun.start + 1) % LANES : begun.start,
    span: Math.min(span, Math.max(1, Math.floor(begun.span / 2))),
  }
}
