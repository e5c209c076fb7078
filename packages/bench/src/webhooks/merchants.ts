import { defined } from '@cashflow/async'
import { eventId } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import { openLoop } from '../load.ts'
import type { Place } from '../place.ts'
import type { EventSender, NewPayment } from './senders.ts'

const TICKS_PER_S = 50
/** Payments that are created in a tick. As many of an earlier one are settled: 200 events a second. */
const CREATED = 2
/** Ticks from the creation of a payment to its settlement: half a second. */
const SETTLED_AFTER = 25
/** In every tick of this number, one payment of the merchants with dead endpoints is created and one is settled. */
const DEAD_EVERY = 5
const CHUNK = 500

export interface Written {
  /** The event's. */
  readonly id: string
  /** In milliseconds since 1970. */
  readonly atMs: number
}

export type Merchants = ReturnType<typeof createMerchants>

/**
 * Merchants that have payments.
 *
 * @param deadIds merchants whose endpoints are dead. Their events do not count.
 */
export function createMerchants(
  sender: EventSender,
  place: Place,
  { ids, deadIds }: Record<'ids' | 'deadIds', string[]>,
) {
  const written: Written[] = []
  const pending: NewPayment[][] = []
  let turn = 0
  const newPayments = (of: readonly string[], count: number): NewPayment[] =>
    Array.from({ length: count }, () => ({ id: uuidv7(), merchantId: defined(of[turn++ % of.length], 'merchant') }))

  async function write(created: readonly NewPayment[], settled: readonly NewPayment[]): Promise<void> {
    const atMs = Date.now()
    await sender.write(place, created, settled)
    for (const [sequence, payments] of [created, settled].entries())
      for (const { id, merchantId } of payments)
        if (ids.includes(merchantId)) written.push({ id: eventId(id, sequence + 1), atMs })
  }

  return {
    /** Events of merchants with healthy endpoints. */
    written: written as readonly Written[],
    /** Empties the list of events. */
    forget: () => void written.splice(0),
    /** Creates and settles payments at an even pace. */
    async trade({ durationMs, signal }: { durationMs: number; signal: AbortSignal }): Promise<void> {
      let ticks = 0
      const tick = async () => {
        const ofDead = deadIds.length > 0 && ticks % DEAD_EVERY === 0 ? newPayments(deadIds, 1) : []
        const created = [...newPayments(ids, CREATED), ...ofDead]
        pending.push(created)
        ticks += 1
        await write(created, pending.length > SETTLED_AFTER ? (pending.shift() ?? []) : [])
      }
      await openLoop({ perSecond: TICKS_PER_S, durationMs, signal }, tick)
    },
    /** Creates and settles payments as fast as it can, until there are `count` events. */
    async pileUp(count: number, signal: AbortSignal): Promise<void> {
      for (let left = count / 2; left > 0; left -= CHUNK) {
        signal.throwIfAborted()
        const created = newPayments(ids, Math.min(CHUNK, left))
        await write(created, [])
        await write([], created)
      }
    },
  }
}
