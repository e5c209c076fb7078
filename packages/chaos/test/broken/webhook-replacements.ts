import { randomInt } from 'node:crypto'
import { pause } from '@cashflow/async'
import type { Tables } from '@cashflow/db'
import type { Claim, ClaimedDelivery, ClaimOptions, FannedOut, FanOutOptions } from '@cashflow/db/webhooks'
import type { Sender, webhookHeaders } from '@cashflow/webhook-sender'
import type { Kysely, Transaction } from 'kysely'

/** The replacements of broken builds of services/webhooks. Each function receives an export and returns one with a mistake. */

type Look = (db: Kysely<Tables>, ...given: unknown[]) => Promise<unknown>
type ClaimDeliveries = (db: Kysely<Tables>, options: ClaimOptions) => Promise<Claim>
type FanOut = (db: Kysely<Tables>, options: FanOutOptions) => Promise<FannedOut>
type BodyOf = (event: object) => string

/** Longer than a fan-out, so that most kills come between the two transactions. */
const BETWEEN_MS = 1_000

export function withoutOrder(look: Look): Look {
  return async (db, ...given) => {
    await db.updateTable('webhook_endpoints').set({ ordering: 'none' }).where('ordering', '=', 'payment').execute()
    return await look(db, ...given)
  }
}

export function ofAnotherBody(headers: typeof webhookHeaders): typeof webhookHeaders {
  return (signed) => headers({ ...signed, body: `${signed.body}\n` })
}

export function writtenAgain(claim: ClaimDeliveries): ClaimDeliveries {
  return changeClaimed(claim, (claimed) =>
    claimed.map((delivery) => ({ ...delivery, body: `${delivery.body}${' '.repeat(randomInt(1, 100))}` })),
  )
}

export function withNextUrl(claim: ClaimDeliveries): ClaimDeliveries {
  return changeClaimed(claim, (claimed) =>
    claimed.map((delivery, place) => ({ ...delivery, url: claimed.at(place - 1)?.url ?? delivery.url })),
  )
}

export function withoutPrevious(bodyOf: BodyOf): BodyOf {
  return (event) => {
    const { data, ...body } = JSON.parse(bodyOf(event))
    return JSON.stringify({ ...body, data: { ...data, previous_event_id: null } })
  }
}

export function answeringAtOnce(createSender: (options: object) => Sender): typeof createSender {
  return (options) => {
    const { post, close } = createSender(options)
    return {
      close,
      async post(...given) {
        void post(...given)
        return { durationMs: 1, status: 204, answer: '' }
      },
    }
  }
}

export function withCursorFirst(fanOut: FanOut): FanOut {
  return async (db, options) => {
    const within = (tx: Transaction<Tables>) =>
      fanOut({ transaction: () => ({ execute: (work: Work) => work(tx) }) } as unknown as typeof db, options)
    const before = await db.transaction().execute(async (tx) => {
      const cursors = await tx.selectFrom('webhook_cursors').selectAll().execute()
      await within(tx)
      await tx.deleteFrom('webhook_deliveries').where('created_at', '>=', tx.fn<Date>('now')).execute()
      return cursors
    })
    await pause(BETWEEN_MS)
    return await db.transaction().execute(async (tx) => {
      for (const { merchant_id, ...place } of before)
        await tx.updateTable('webhook_cursors').set(place).where('merchant_id', '=', merchant_id).execute()
      return await within(tx)
    })
  }
}

export function asInLive(fanOut: FanOut): FanOut {
  return (db, options) => fanOut(db, { ...options, isSandbox: false })
}

type Work = (tx: Transaction<Tables>) => Promise<unknown>

function changeClaimed(
  claim: ClaimDeliveries,
  change: (claimed: readonly ClaimedDelivery[]) => ClaimedDelivery[],
): ClaimDeliveries {
  return async (db, options) => {
    const { deliveries, isMore } = await claim(db, options)
    return { deliveries: change(deliveries), isMore }
  }
}
