import type { Breaker, Permit } from './breaker.ts'

/**
 * A breaker that admits no more than the provider may be asked to charge at the same time. The others wait, unclaimed, in
 * their order: a payment that is claimed must not wait, since its lease runs.
 */
export function createAdmission(breaker: Breaker, chargesMax: number): Breaker {
  const slots = createSlots(chargesMax)
  return {
    name: breaker.name,
    get waiting() {
      return breaker.waiting
    },
    start: breaker.start,
    async stop() {
      slots.close()
      await breaker.stop()
    },
    async admit(signal, paymentId) {
      if (!(await slots.take(signal))) return undefined
      const permit = await breaker.admit(signal, paymentId)
      if (!permit) slots.give()
      return permit && inSlot(permit, slots.give)
    },
  }
}

/** The slot is free again when the charge is over, and need not wait for it to be settled. */
function inSlot(permit: Permit, give: () => void): Permit {
  let held = true
  function leave(): void {
    if (held) give()
    held = false
  }
  return {
    charge: (...charge) => permit.charge(...charge).finally(leave),
    release() {
      leave()
      permit.release()
    },
  }
}

function createSlots(slotsMax: number) {
  const line = new Set<(hasSlot: boolean) => void>()
  let free = slotsMax
  let closed = false

  function standInLine(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const goAway = () => leave(false)
      // In the same tick: nobody else may find it still in line.
      function leave(hasSlot: boolean): void {
        line.delete(leave)
        signal.removeEventListener('abort', goAway)
        resolve(hasSlot)
      }
      line.add(leave)
      signal.addEventListener('abort', goAway)
    })
  }

  return {
    /** False when the signal aborts first, or nobody is let in any more. */
    async take(signal: AbortSignal): Promise<boolean> {
      if (signal.aborted || closed) return false
      if (free === 0) return await standInLine(signal)
      free -= 1
      return true
    },
    give(): void {
      const [next] = line
      if (next) next(true)
      else free += 1
    },
    close(): void {
      closed = true
      for (const leave of line) leave(false)
    },
  }
}
