/** How work goes on past rows that PostgreSQL cannot read: without them, and not in silence. */
export interface PastDamage {
  /** Whether single rows or pages may have caused the error. Any other error ends the work. */
  isRowsOwn(error: unknown): boolean
  /** @param lane of the rows, where it is known */
  onUnreadable(error: unknown, lane?: number): void
}

export const NOT_PAST_DAMAGE: PastDamage = { isRowsOwn: () => false, onUnreadable() {} }

/** @throws what the work throws and no row caused */
export async function pastDamage<Result>(
  work: Promise<Result>,
  { isRowsOwn, onUnreadable }: PastDamage,
  lane?: number,
): Promise<Result | undefined> {
  try {
    return await work
  } catch (error) {
    if (!isRowsOwn(error)) throw error
    onUnreadable(error, lane)
    return undefined
  }
}
