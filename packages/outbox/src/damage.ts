/** The handling of rows that PostgreSQL cannot read: a statement leaves them out and reports them. */
export interface DamageHandler {
  /** True if single rows or pages may have caused the error. Any other error ends the work. */
  isRowsOwn(error: unknown): boolean
  /** @param lane of the rows, where it is known */
  onUnreadable(error: unknown, lane?: number): void
}

/** Handles no damage: every error ends the work. */
export const FAIL_ON_DAMAGE: DamageHandler = { isRowsOwn: () => false, onUnreadable() {} }

/**
 * Waits for `work`. An error that rows caused is reported, and the result is undefined.
 *
 * @throws what the work throws and no row caused
 */
export async function skipDamage<Result>(
  work: Promise<Result>,
  { isRowsOwn, onUnreadable }: DamageHandler,
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
