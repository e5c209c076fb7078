import { eventId } from '@cashflow/domain'
import type { Kysely } from 'kysely'
import { ahead, readPages, type Span } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'
import { checkDelivered, type DeliveredPage, readDelivered, spanOfDeliveries } from './delivered.ts'
import { merchantsWithEndpoints, readFannedOut, spanOfYoungEvents } from './fanned-out.ts'
import { type Finding, unreadable } from './finding.ts'
import { findPruned } from './pruned.ts'

const EVENTS_MAX = 1_000
const MERCHANTS_MAX = 1_000

export interface WebhookVerifying {
  readonly db: Kysely<Tables>
  readonly report: (finding: Finding) => Promise<void>
  /** Called after each statement, with the number of deliveries that it has read. */
  readonly onRead: (deliveries: number) => void
}

/** Compares deliveries of webhooks, and what is signed, with their events. */
export async function verifyDeliveries(run: WebhookVerifying, payments: Span): Promise<void> {
  const read = (after: bigint, to: bigint, limit: number) => readDelivered(run.db, { after, to, limit })
  for await (const page of ahead(readPages(read, spanOfDeliveries(payments), EVENTS_MAX)))
    if ('error' in page) await run.report(unreadable(page.error, null, `webhook_deliveries, place ${page.at}`))
    else await checkPage(run, page)
}

async function checkPage({ db, report, onRead }: WebhookVerifying, { events }: DeliveredPage): Promise<void> {
  const orphans = events.filter(({ merchant_id }) => merchant_id === null)
  const pruned = await findPruned(db, [...new Set(orphans.map(({ payment_id }) => payment_id))])
  for (const { payment_id: paymentId, sequence, differing } of orphans)
    if (!pruned.has(paymentId))
      await report({
        paymentId,
        what: `event of delivery ${differing?.[0]?.id}`,
        expected: eventId(paymentId, sequence),
        found: null,
      })
  for (const event of events)
    if (event.merchant_id !== null) for (const finding of checkDelivered(event)) await report(finding)
  onRead(events.reduce((sum, { deliveries }) => sum + deliveries, 0))
}

/** Finds events of the last 23 hours that an enabled endpoint should have, and has no delivery of. */
export async function verifyFannedOut({ db, report, onRead }: WebhookVerifying): Promise<void> {
  let merchants = await merchantsWithEndpoints(db, { after: undefined, limit: MERCHANTS_MAX })
  if (merchants.length === 0) return
  const span = await spanOfYoungEvents(db)
  while (merchants.length > 0) {
    for (const merchantId of merchants) {
      const read = (after: bigint, to: bigint, limit: number) => readFannedOut(db, merchantId, { after, to, limit })
      for await (const page of readPages(read, span, EVENTS_MAX)) {
        if ('error' in page) {
          await report(unreadable(page.error, null, `payment_events of merchant ${merchantId}, place ${page.at}`))
          continue
        }
        for (const { payment_id: paymentId, sequence, endpoint_id } of page.missed)
          await report({
            paymentId,
            what: `delivery of event ${sequence} to endpoint ${endpoint_id}`,
            expected: 'a delivery',
            found: null,
          })
        onRead(0)
      }
    }
    const after = merchants.at(-1)
    merchants =
      merchants.length < MERCHANTS_MAX ? [] : await merchantsWithEndpoints(db, { after, limit: MERCHANTS_MAX })
  }
}
