import { randomUUID } from 'node:crypto'
import { metadataOf, type Simulation } from '@cashflow/domain'
import { aPayment } from '@cashflow/testing'
import { sql } from 'kysely'
import { type ClaimedDelivery, claimDeliveries, settleDeliveries, type Verdict } from '../../src/webhooks.ts'
import { storePayments, type TestStore } from '../test-store.ts'
import { fanOutAll, newEndpoint, newMerchant } from './webhook-rig.ts'

/** The events of a payment. */
export const [CREATED, ENDED] = [1, 2] as const
export const SUCCEEDED = { kind: 'succeeded' } as const
export const FAILED = { kind: 'failed', delayMs: 5_000, holdMs: 0 } as const
export const EXPIRED = { kind: 'expired', holdMs: 0 } as const

export type FaultRig = Awaited<ReturnType<typeof createFaultRig>>

/** A healthy endpoint of a new merchant, and what a service does for it, step by step. */
export async function createFaultRig({ db }: TestStore, settings: Parameters<typeof newEndpoint>[2] = {}) {
  const merchantId = await newMerchant(db)
  const endpointId = (await newEndpoint(db, merchantId, settings)).id
  const setQueue = (set: { is_failing?: boolean; recovering_since?: Date; due_at?: Date }) =>
    db.updateTable('webhook_queues').set(set).where('endpoint_id', '=', endpointId).execute()
  await setQueue({ is_failing: false })

  const fanOut = (isSandbox = true) => fanOutAll(db, merchantId, isSandbox)

  async function end(paymentId: string): Promise<void> {
    await sql`insert into payment_events (payment_id, merchant_id, sequence, type, actor)
      values (${paymentId}::uuid, ${merchantId}::uuid, ${ENDED}::int, 'payment.succeeded', 'worker')`.execute(db)
  }

  async function claim(): Promise<readonly ClaimedDelivery[]> {
    const options = { deliveriesMax: 64, failingMax: 16, window: 8, leaseMs: 30_000, among: [endpointId] }
    return (await claimDeliveries(db, { ...options, token: randomUUID() })).deliveries
  }

  async function settle(deliveries: readonly ClaimedDelivery[], verdict: Verdict): Promise<void> {
    const status = verdict.kind === 'succeeded' ? 204 : 500
    const ended = { durationMs: 1, status, error: undefined, answer: '', verdict }
    await settleDeliveries(
      db,
      deliveries.map((delivery) => ({ ...delivery, ...ended })),
    )
  }

  /** Attempts what is due. Returns the sequences of the events. */
  async function attempt(verdict: Verdict = SUCCEEDED): Promise<number[]> {
    const deliveries = await claim()
    await settle(deliveries, verdict)
    return deliveries.map(({ sequence }) => sequence)
  }

  async function rows() {
    const found = await sql<{
      sequence: number
      status: string
      fault: string | null
      attempts: number
      due_s: number
    }>`
      select sequence, status, fault, attempts, round(extract(epoch from due_at - created_at))::int as due_s
      from webhook_deliveries where endpoint_id = ${endpointId}::uuid order by id`.execute(db)
    return found.rows
  }

  return {
    ...{ merchantId, endpointId, fanOut, end, claim, settle, attempt, rows },
    /** Stores a payment that is settled at once, or stays PENDING, and fans out its events. Returns its id. */
    async pay(simulate: Simulation, { isSettled = true, isSandbox = true } = {}): Promise<string> {
      const { payment, event } = aPayment({ merchantId, metadata: metadataOf([['simulate', simulate]]) })
      await storePayments(db, [{ payment, event, requestId: 'r-1', messages: [] }], { redriveAfterMs: 60_000 })
      if (isSettled) await end(payment.id)
      await fanOut(isSandbox)
      return payment.id
    },
    /** Attempts all that becomes due by each other. Returns the sequences of the events of each claim. */
    async attemptAll(): Promise<number[][]> {
      const sent: number[][] = []
      for (let found = await attempt(); found.length > 0; found = await attempt()) sent.push(found)
      return sent
    },
    async statuses(): Promise<string[]> {
      return (await rows()).map(({ status }) => status)
    },
    /** Makes the endpoint one that has begun to answer again. */
    async recover(): Promise<void> {
      await setQueue({ recovering_since: new Date(Date.now() - 5_000), due_at: new Date() })
    },
    /** Lets time pass for all deliveries to the endpoint. */
    async pass(seconds: number): Promise<void> {
      const by = sql`${seconds}::int * interval '1 s'`
      await sql`update webhook_deliveries set due_at = due_at - ${by}, retry_at = retry_at - ${by}
        where endpoint_id = ${endpointId}::uuid`.execute(db)
      await setQueue({ due_at: new Date() })
    },
  }
}
