import { defined, pause } from '@cashflow/async'
import { type CashflowClient, CashflowError, type Currency, type Payment } from '@cashflow/client'
import { call } from './client-call.ts'
import { keysOf, type Merchant } from './merchants.ts'
import { isAnswer, now } from './payment-api.ts'
import { type Answer, idOf, type PaymentRequest } from './payment-request.ts'
import type { Random } from './random.ts'

export interface IntegratorOptions {
  apiUrls: readonly string[]
  merchants: readonly Merchant[]
  random: Random
  /** No call begins after it has aborted. */
  signal: AbortSignal
}

const AGAIN_MS = 500
/** Maximum pause before a cancel, in milliseconds. A worker claims the payment at about the same time. */
const CANCELED_AFTER_MS = 100
const CANCELED_SHARE = 0.2
/** Share of payments that are waited for. The others are read. */
const WAITED_SHARE = 0.3
const WAITED_MS = 3_000
const HISTORY_SHARE = 0.3

/**
 * Creates a payment with `@cashflow/client` and an idempotency key, as docs/integrating.md advises. Then lists the payment
 * through another API, and reads it in other ways. Some payments are canceled.
 */
export async function integrate(request: PaymentRequest, options: IntegratorOptions): Promise<void> {
  const { random, signal } = options
  const first = random.int(0, options.apiUrls.length - 1)
  /** The API of a turn: the next turn has another one. */
  const at = (turn: number) => ({
    apiUrl: defined(options.apiUrls[(first + turn) % options.apiUrls.length], 'API'),
    key: keysOf(options.merchants, request).own,
  })
  const turn = await create(request, at, signal)
  if (turn === undefined) return
  const id = defined(idOf(request), 'id of a created payment')
  const steps = [
    () => read(request, at(turn + 1), ({ payments }) => all(payments.list({ reference: request.reference }))),
    ...(random.chance(CANCELED_SHARE) ? [() => cancel(request, id, { at, random, signal })] : []),
    random.chance(WAITED_SHARE)
      ? () => read(request, at(turn), async ({ payments }) => [await payments.waitFor(id, { timeoutMs: WAITED_MS })])
      : () => read(request, at(turn), async ({ payments }) => [await payments.get(id)]),
    ...(random.chance(HISTORY_SHARE) ? [() => readHistory(request, id, at(turn + 1))] : []),
  ]
  for (const step of steps) if (!signal.aborted) await step()
}

type Place = Parameters<typeof call>[0]
type PlaceAt = (turn: number) => Place

/** Returns the turn whose API has created the payment. Undefined if the API refused it, or if the run ended. */
async function create(request: PaymentRequest, at: PlaceAt, signal: AbortSignal): Promise<number | undefined> {
  const { reference, amountMinor, currency, metadata, idempotencyKey, answers } = request
  const payment = {
    amount: (amountMinor / 100).toFixed(2),
    currency: currency as Currency,
    reference,
    ...(metadata && { metadata }),
  }
  for (let turn = 0; !signal.aborted; turn++) {
    const created = await call(
      at(turn),
      (client) => client.payments.create(payment, { idempotencyKey }),
      (status) => answers.push({ at: Date.now(), status }),
    )
    if (!(created instanceof CashflowError)) {
      answers.push({ at: Date.now(), status: 201, paymentId: created.id, isReplay: 'unknown' })
      return turn
    }
    // The merchant gets another key after a 401.
    if (!created.retryable && !created.mayHaveHappened && created.status !== 401) return undefined
    await pause(AGAIN_MS, signal)
  }
  return undefined
}

/** Records each payment that the call shows as a view. A call that shows none has not found the payment. */
async function read(
  { views }: PaymentRequest,
  place: Place,
  act: (client: CashflowClient) => Promise<readonly Payment[]>,
  failed: (status: Answer['status']) => void = () => {},
): Promise<CashflowError | undefined> {
  const at = now()
  const seen = () => ({ at, answeredAt: now(), isFinal: false })
  const shown = await call(place, act, (status) => {
    failed(status)
    if (isAnswer({ status }) && status !== 409) views.push({ ...seen(), status })
  })
  if (shown instanceof CashflowError) return shown
  for (const payment of shown) views.push({ ...seen(), status: 200, payment })
  if (shown.length === 0) views.push({ ...seen(), status: 404 })
  return undefined
}

/** Cancels the payment, at a time when a worker may claim it. After a missing answer, it asks another API again. */
async function cancel(
  request: PaymentRequest,
  id: string,
  { at, random, signal }: { at: PlaceAt; random: Random; signal: AbortSignal },
): Promise<void> {
  const note = (status: Answer['status']) => request.cancels.push({ at: Date.now(), status })
  await pause(random.int(0, CANCELED_AFTER_MS), signal)
  for (let turn = 0; turn < 2; turn++) {
    const error = await read(request, at(turn), async ({ payments }) => [await payments.cancel(id)], note)
    if (!error) note(200)
    if (!error?.retryable) return
  }
}

async function readHistory({ histories }: PaymentRequest, id: string, place: Place): Promise<void> {
  const at = now()
  let status: Answer['status'] = 200
  const events = await call(
    place,
    (client) => client.payments.events(id),
    (failed) => {
      status = failed
    },
  )
  const ids = events instanceof CashflowError ? [] : events.map((event) => event.id)
  if (isAnswer({ status })) histories.push({ at, status, ids })
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}
