/** The result of an operator's command, with its `Facts`. `why` tells the operator what prevented it. */
export type Done<Facts = object> = ({ readonly done: true } & Facts) | Refused

export interface Refused {
  readonly done: false
  readonly why: string
}

export const refused = (why: string): Refused => ({ done: false, why })

const LOCKED = new Set(['55P03', '40P01'])

/** Replaces the error of an act that waited in vain for the lock of another session. The act has changed nothing. */
export async function refusedIfLocked<Facts>(act: Promise<Done<Facts>>): Promise<Done<Facts>> {
  try {
    return await act
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (!LOCKED.has(String(code))) throw error
    return refused('Another session has locked it, such as that of a worker or of another operator. Try again.')
  }
}
