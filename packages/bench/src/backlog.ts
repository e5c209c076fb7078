import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contender.ts'
import type { Place } from './place.ts'

const POLL_MS = 100

/** What waits in the outbox: the product deletes what is published, the textbook marks it. */
const UNPUBLISHED: Record<Contender['kind'], string> = {
  product: 'select count(*)::int as count from outbox_messages',
  textbook: 'select count(*)::int as count from outbox where published_at is null',
}

/** Payments that are neither SUCCESS nor FAILED yet. */
export function countPending(place: Place): Promise<number> {
  return count(place, `select count(*)::int as count from payments where status = 'PENDING'`)
}

export function countSettled(place: Place): Promise<number> {
  return count(place, `select count(*)::int as count from payments where status <> 'PENDING'`)
}

/** Until every payment is settled, and every message published. */
export async function untilDrained(place: Place, { kind }: Contender, signal: AbortSignal): Promise<void> {
  while ((await countPending(place)) > 0 || (await count(place, UNPUBLISHED[kind])) > 0)
    await sleep(POLL_MS, undefined, { signal })
}

export interface Gate {
  /** Resolves when one more payment may be created. */
  pass(): Promise<void>
  /** Resolves when nothing looks any more. @throws what looking has failed with */
  close(): Promise<void>
}

/** Lets payments in while fewer than so many are pending, and keeps looking. */
export function backlogGate(place: Place, pendingMax: number, signal: AbortSignal): Gate {
  const closing = new AbortController()
  let opened = Promise.withResolvers<void>()
  opened.resolve()
  let isOpen = true

  function turn(open: boolean): void {
    if (open) opened.resolve()
    else if (isOpen) opened = Promise.withResolvers()
    isOpen = open
  }

  async function watch(): Promise<void> {
    try {
      while (!closing.signal.aborted && !signal.aborted) {
        turn((await countPending(place)) < pendingMax)
        await sleep(POLL_MS)
      }
    } finally {
      turn(true)
    }
  }

  const watching = watch()
  watching.catch(() => {}) // `close` tells.
  return {
    pass: () => opened.promise,
    async close() {
      closing.abort()
      await watching
    },
  }
}

async function count(place: Place, text: string): Promise<number> {
  const [row] = await place.query<{ count: number }>(text)
  return row?.count ?? 0
}
