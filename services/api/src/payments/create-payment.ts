import { DeadlineError, Loops } from '@cashflow/async'
import {
  createGroupCommit,
  findHolders,
  type Holder,
  insertPayments,
  onlyStatement,
  type PaymentInsert,
  type Tables,
} from '@cashflow/db'
import { createdMessage, createPayment, type PaymentWithMetadata } from '@cashflow/domain'
import type { Notifier } from '@cashflow/outbox'
import { type Logger, uuidv7 } from '@cashflow/runtime'
import { SpanKind, type Spans, untilDone } from '@cashflow/tracing'
import type { RequestHandler, Response } from 'express'
import type { Kysely } from 'kysely'
import { BATCH_MAX, WRITERS_ALONE_MAX, WRITERS_MAX } from '../limits.ts'
import { Problem } from '../problem.ts'
import { ClientGoneError, type RequestQueue } from '../request-queue.ts'
import { sendJsonText } from '../send-json.ts'
import { readIdempotencyKey } from './idempotency-key.ts'
import { readPaymentBody } from './payment-body.ts'
import { paymentJson } from './payment-json.ts'
import { readWait } from './prefer.ts'
import { sendPayment, setWaitApplied } from './send-payment.ts'
import type { Waits } from './waits.ts'

export interface CreatePaymentOptions {
  writer: Pick<PaymentWriter, 'write'>
  writes: RequestQueue
  waits: Waits
  /** Values that `metadata.simulate` may have. Undefined where it is metadata like any other. */
  simulations?: ReadonlySet<string> | undefined
  logger: Logger
}

/**
 * POST /payments: 201 with the payment, 422 if its idempotency key has another meaning, or 409 if its reference is taken.
 *
 * A 201 promises that the payment will be settled, so it is sent only after PostgreSQL has answered COMMIT. A repeated
 * request with the key gets the same 201 again. With `Prefer: wait=N` the answer waits until the payment is settled, or for
 * N seconds, and shows it as it is then.
 */
export function createPaymentHandler({
  writer,
  writes,
  waits,
  simulations,
  logger,
}: CreatePaymentOptions): RequestHandler {
  // The payment is stored, so the client gets its 201 although PostgreSQL does not tell how it is now.
  const orUnknown = (fields: object) => (error: unknown) => {
    if (error instanceof ClientGoneError) throw error
    if (!(error instanceof DeadlineError))
      logger.error('a stored payment could not be looked up for its answer', { ...fields, error })
    return undefined
  }

  return async (req, res) => {
    const idempotencyKey = readIdempotencyKey(req)
    const { amount: money, reference, metadata } = readPaymentBody(req.body, simulations)
    const { merchantId, requestId, traceparent } = res.locals
    // All ids are made before the first attempt. If its answer is lost, the next attempt recognises its own payment.
    const { payment, event } = createPayment({
      id: uuidv7(),
      merchantId,
      reference,
      money,
      metadata,
      at: new Date(),
    })
    const message = createdMessage(event, { messageId: uuidv7(), requestId, traceparent })
    const isDoubled = simulations !== undefined && metadata?.get('simulate') === 'duplicate_delivery'
    const messages = isDoubled ? [message, message] : [message]
    const created = { payment, idempotencyKey, event, requestId, traceparent, messages }
    const holder = await writes.run(res, (signal) => writer.write(created, signal))
    res.locals.paymentId = holder.paymentId
    const answered = asCreated(payment, holder)
    if (holder.has === 'key') res.setHeader('Idempotent-Replayed', 'true')
    res.setHeader('Location', `${req.baseUrl}/${answered.id}`)
    const seconds = readWait(req)
    if (seconds !== undefined) {
      const waited = await waits
        .until(res, { merchantId, id: answered.id }, { seconds, isNew: holder.has === 'itself' })
        .catch(orUnknown({ payment_id: answered.id, request_id: requestId }))
      // A key that was revoked during the wait shows no outcome any more. The payment is stored, so its 201 stays.
      if (waited?.payment && (await isKeyInForce(res))) {
        if (waited.isHonoured) setWaitApplied(res, seconds)
        return sendPayment(req, res, 201, waited.payment)
      }
    }
    sendJsonText(res, 201, paymentJson(answered))
  }
}

const isKeyInForce = (res: Response): Promise<boolean> =>
  res.locals.assertKey().then(
    () => true,
    () => false,
  )

/**
 * The payment as its first request created it. A holder of the key that differs in no member of the request was created
 * from an equal one, so only its id and its time are its own.
 *
 * @throws Problem if the holder is another payment
 */
function asCreated(payment: PaymentWithMetadata, holder: Holder): PaymentWithMetadata {
  const members = { payment_id: holder.paymentId }
  switch (holder.has) {
    case 'itself':
      return payment
    case 'key':
      if (holder.mismatch.length > 0)
        throw new Problem(
          'idempotency-mismatch',
          `The payment of this Idempotency-Key differs in ${holder.mismatch.join(' and ')}; payment_id names it.`,
          { members: { ...members, mismatch: holder.mismatch } },
        )
      return { ...payment, id: holder.paymentId, createdAt: holder.createdAt }
    case 'reference':
      if (holder.mismatch.length > 0)
        throw new Problem(
          'reference-mismatch',
          `The payment that has this reference differs in ${holder.mismatch.join(' and ')}; payment_id names it.`,
          { members: { ...members, mismatch: holder.mismatch } },
        )
      throw new Problem('duplicate-reference', 'A payment with this reference exists; payment_id names it.', {
        members,
      })
    default:
      return holder satisfies never
  }
}

export type PaymentWriter = ReturnType<typeof createPaymentWriter>

export interface PaymentWriterOptions {
  db: Kysely<Tables>
  notifier: Notifier
  /** Age at which a payment that is still PENDING is sent to a worker again, in milliseconds. */
  redriveAfterMs: number
  /** Called with the number of payments of each transaction. */
  onBatch?: ((payments: number) => void) | undefined
  /** Called after COMMIT with the number of new payments that are stored. */
  onCreated?: ((payments: number) => void) | undefined
  /** Undefined where nothing is traced. */
  spans?: Spans | undefined
  logger: Logger
}

/** Writes the payments of concurrent requests in one transaction. */
export function createPaymentWriter(options: PaymentWriterOptions) {
  const { db, notifier, redriveAfterMs, onBatch, onCreated, spans, logger } = options
  const loops = new Loops()

  async function store(batch: readonly PaymentInsert[]): Promise<Holder[]> {
    onBatch?.(batch.length)
    // Payments, their events and their outbox messages are stored together, or not at all.
    const inserted = await db
      .transaction()
      .execute((tx) => insertPayments(onlyStatement(tx), batch, { redriveAfterMs }))
    const holders = await findHolders(db, batch, inserted)
    // Also those of an earlier transaction whose answer was lost, which counted none.
    onCreated?.(holders.filter(({ has }) => has === 'itself').length)
    return holders
  }

  /** Records the transaction, with links to the requests that share it. */
  function storeTraced(batch: readonly PaymentInsert[]): Promise<Holder[]> {
    if (!spans) return store(batch)
    const attributes = { 'db.system.name': 'postgresql', 'db.operation.batch.size': batch.length }
    const places = batch.map(({ traceparent }) => traceparent)
    return untilDone(spans.batch('insert payments', places, { kind: SpanKind.CLIENT, attributes }), store(batch))
  }

  const group = createGroupCommit({
    commit: (batch: readonly PaymentInsert[]) => loops.track('writes', storeTraced(batch)),
    batchMax: BATCH_MAX,
    writersMax: WRITERS_MAX,
    aloneMax: WRITERS_ALONE_MAX,
    // Rows are inserted in the order of their references, but the index of keys has another order.
    crosses: ({ payment, idempotencyKey }) => (idempotencyKey === undefined ? undefined : payment.merchantId),
    onDeadlock: (merchants) =>
      logger.warn('payments deadlocked, those with an idempotency key are written one by one for a while', {
        merchant_ids: merchants,
      }),
  })
  return {
    loops,
    /**
     * Stores a payment, its event and its message, or none of them if the key or the reference is taken. Resolves after
     * COMMIT with the payment that has it. A repeated call with the same payment finds the payment that the first one stored.
     *
     * @throws the signal's reason, if it aborts before the payment is part of a batch
     */
    async write(created: PaymentInsert, signal: AbortSignal): Promise<Holder> {
      const holder = await group.commit(created, signal)
      if (holder.has === 'itself') notifier.notify()
      return holder
    },
  }
}
