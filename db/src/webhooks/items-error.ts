/** Work on these endpoints or replays failed together, and changed nothing. `cause` tells why: perhaps one of them. */
export class ItemsError extends Error {
  readonly ids: readonly string[]

  constructor(ids: readonly string[], cause: unknown) {
    super('work on several items failed', { cause })
    this.ids = ids
  }
}

/** @throws ItemsError if the work fails */
export async function onItems<Result>(ids: readonly string[], work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw new ItemsError(ids, error)
  }
}
