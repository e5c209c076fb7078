import { type Loop, type Loops, pause, type WakeSignal } from '@cashflow/async'
import { type Tables, withBeats } from '@cashflow/db'
import { type ClaimedDelivery, type SettledAttempt, SLOW_MS, type Verdict } from '@cashflow/db/webhooks'
import { eventId } from '@cashflow/domain'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import { markFailed, SpanKind, type Spans } from '@cashflow/tracing'
import { type SecretBox, type Sender, webhookHeaders } from '@cashflow/webhook-sender'
import type { Kysely } from 'kysely'
import { createClaims } from './claims.ts'
import { ATTEMPT_MS, LEASE_MS } from './limits.ts'
import type { Settler } from './settler.ts'
import { verdictOn } from './verdict.ts'

/** Longest wait for work. What makes work wakes the loop; this finds what another process has left. */
const IDLE_MS = 5_000
/** Due deliveries and free sockets gather for this long: a claim costs more than what it finds. */
const GATHER_MS = 10
const AGAIN_MS = 500

export interface DeliveriesOptions {
  db: Kysely<Tables>
  sender: Sender
  secrets: SecretBox
  settler: Settler
  /** Returns the body of an event whose stored one was pruned. Undefined if the event was pruned as well. */
  rebuildBody: (delivery: ClaimedDelivery) => Promise<string | undefined>
  /** Ends the wait for work. */
  wake: WakeSignal
  /** Attempts under way at a time. A quarter of them may be those to failing endpoints. */
  attemptsMax: number
  /** Attempts under way to one endpoint, of all processes together. */
  windowMax: number
  /** Called when an attempt has ended. */
  onAttempt?: (delivery: ClaimedDelivery, attempt: { durationMs: number; outcome: Verdict['kind'] }) => void
  /** Undefined where nothing is traced. */
  spans?: Spans | undefined
  logger: Logger
}

export interface Deliveries extends Component {
  /** Attempts under way. */
  readonly inFlight: number
}

/**
 * Attempts the deliveries that are due, for as long as it runs. A stop waits for the attempts under way, which end within
 * their deadline.
 */
export function createDeliveries(options: DeliveriesOptions): Deliveries {
  const { db: shared, wake, attemptsMax, windowMax, logger } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const underWay = new Map<ClaimedDelivery, Promise<void>>()
  const failing = () => [...underWay.keys()].filter(({ isFailing }) => isFailing).length
  const claim = createClaims(logger)
  /** Requests without an answer, and when each was sent, on the monotonic clock. */
  const unanswered = new Map<ClaimedDelivery, number>()
  const attempt = createAttempt({ ...options, unanswered })
  const unclaimed = createCondition(logger, {
    message: 'could not look for due webhooks, trying again',
    ended: 'due webhooks are found again',
  })

  /** Of this process only: what a process that was killed had claimed says nothing about the endpoint. */
  function slowEndpoints(): string[] {
    const before = performance.now() - SLOW_MS
    const slow = [...unanswered].filter(([, sentAt]) => sentAt < before)
    return [...new Set(slow.map(([{ endpointId }]) => endpointId))]
  }

  /** Begins to attempt deliveries that are due. Returns true if there may be more. */
  async function claimOnce(db: Kysely<Tables>): Promise<boolean> {
    const deliveriesMax = attemptsMax - underWay.size
    if (deliveriesMax <= 0) return false
    const startedAt = performance.now()
    const { deliveries, isMore } = await claim(db, {
      deliveriesMax,
      failingMax: Math.max(0, Math.floor(attemptsMax / 4) - failing()),
      window: windowMax,
      slow: slowEndpoints(),
      leaseMs: LEASE_MS,
    })
    for (const delivery of deliveries) underWay.set(delivery, begin(delivery, startedAt))
    return isMore
  }

  async function begin(delivery: ClaimedDelivery, claimedAt: number): Promise<void> {
    let isDue = true
    try {
      const settled = await attempt(delivery, claimedAt)
      isDue = settled?.isDue !== false
    } catch (error) {
      logger.error('attempt of a webhook failed by a bug', { ...factsOf(delivery), error })
    }
    // Its socket is free again. Failing endpoints wait for those of other failing ones.
    const hasLeft = underWay.size >= attemptsMax || delivery.isFailing
    underWay.delete(delivery)
    if (isDue || hasLeft) wake.wake()
  }

  async function run(loops: Loops): Promise<void> {
    const loop: Loop = loops.begin('deliveries')
    const db = withBeats(shared, loop)
    while (!signal.aborted) {
      loop.beat()
      try {
        const isMore = await claimOnce(db)
        unclaimed.ended()
        if (!isMore) await wake.wait({ atMostMs: IDLE_MS, signal })
        await pause(GATHER_MS, signal)
      } catch (error) {
        unclaimed.holds({ error })
        await pause(AGAIN_MS, signal)
      }
    }
    while (underWay.size > 0) await loop.outwait(Promise.race(underWay.values()))
  }

  const component = backgroundComponent('deliveries', run, stopping)
  return Object.defineProperty(component, 'inFlight', { get: () => underWay.size, enumerable: true }) as Deliveries
}

const factsOf = ({ endpointId, paymentId, sequence, attempts }: ClaimedDelivery) => ({
  endpoint_id: endpointId,
  event_id: eventId(paymentId, sequence),
  attempts,
})

function createAttempt({
  sender,
  secrets,
  settler,
  rebuildBody,
  onAttempt = () => {},
  spans,
  unanswered,
  logger,
}: DeliveriesOptions & { unanswered: Map<ClaimedDelivery, number> }) {
  const sealed = createCondition(logger, {
    level: 'error',
    message: 'the secret of a webhook endpoint cannot be opened, its deliveries wait',
    ended: 'secrets of webhook endpoints can be opened again',
  })

  /** Opens the secrets. One that cannot be opened is left out if there is another one. */
  function open({ endpointId, secrets: all }: ClaimedDelivery): string[] {
    const opened: string[] = []
    let failure: unknown
    for (const secret of all) {
      try {
        opened.push(secrets.open(secret, endpointId))
      } catch (error) {
        failure = error
      }
    }
    if (failure !== undefined) sealed.holds({ endpoint_id: endpointId, error: failure })
    return opened
  }

  /** @param claimedAt when the claim was asked for, on the monotonic clock */
  return async (delivery: ClaimedDelivery, claimedAt: number): Promise<SettledAttempt | undefined> => {
    const opened = open(delivery)
    // Not an attempt: its lease ends, and it is tried again, as by a process that knows the key.
    if (opened.length === 0) return undefined
    const body = delivery.body ?? (await rebuildBody(delivery))
    const { endpointId, url, id: deliveryId, token } = delivery
    const ended = { endpointId, url, id: deliveryId, token, status: undefined, error: undefined, answer: undefined }
    if (body === undefined) {
      const verdict = { kind: 'expired', holdMs: 0 } as const
      return await settler.settle({ ...ended, durationMs: 0, error: 'not sent: the event was pruned', verdict })
    }
    // This process may have been frozen. Then another one has taken over, and a late request would break the order.
    if (performance.now() - claimedAt > LEASE_MS - ATTEMPT_MS) return undefined
    const id = eventId(delivery.paymentId, delivery.sequence)
    // By the clock of the database: endpoints refuse a webhook from a machine whose own clock is minutes wrong.
    const now = new Date(delivery.claimedAt.getTime() + performance.now() - claimedAt)
    const headers = webhookHeaders({ id, body, secrets: opened, now })
    const span = spans?.child('deliver webhook', delivery.traceparent ?? undefined, {
      kind: SpanKind.CLIENT,
      attributes: {
        'http.request.method': 'POST',
        'cashflow.payment_id': delivery.paymentId,
        'cashflow.webhook.event_id': id,
        'cashflow.webhook.endpoint_id': endpointId,
        'cashflow.webhook.failed_attempts': delivery.attempts,
      },
    })
    unanswered.set(delivery, performance.now())
    const attempt = await sender.post(url, headers, body).finally(() => unanswered.delete(delivery))
    const { status, durationMs } = attempt
    const isAnswered = attempt.status !== undefined
    const verdict = verdictOn(delivery, attempt)
    if (status !== undefined) span?.setAttribute('http.response.status_code', status)
    if (span && verdict.kind !== 'succeeded') markFailed(span, status === undefined ? 'no_answer' : String(status))
    span?.end()
    onAttempt(delivery, { durationMs, outcome: verdict.kind })
    logger.debug('webhook attempted', { ...factsOf(delivery), status, duration_ms: Math.round(durationMs) })
    const outcome = isAnswered ? { status, answer: attempt.answer } : { error: attempt.error }
    return await settler.settle({ ...ended, ...outcome, durationMs, verdict })
  }
}
