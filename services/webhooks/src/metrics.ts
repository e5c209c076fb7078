import { type Database, type Listener, registerListener, registerPool } from '@cashflow/db'
import type { ClaimedDelivery, Disabling, FannedOut, Verdict } from '@cashflow/db/webhooks'
import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client'

const OUTCOMES = ['succeeded', 'failed', 'expired'] as const satisfies Verdict['kind'][]
const REASONS = ['failing', 'gone'] as const satisfies Disabling['reason'][]

/** The parts of a process whose state is read at each scrape. */
interface Observed {
  db: Database
  listener: Listener
  deliveries: { readonly inFlight: number }
}

/** Registers what a process that sends webhooks shows of itself. */
export function registerWebhooks(registry: Registry, { db, listener, deliveries }: Observed): void {
  registerPool(registry, db)
  registerListener(registry, listener)
  new Gauge({
    name: 'cashflow_webhooks_attempts_in_flight',
    help: 'Attempts under way. WEBHOOK_CONCURRENCY limits them.',
    registers: [registry],
    collect() {
      this.set(deliveries.inFlight)
    },
  })
}

type NoteAttempt = (
  delivery: Pick<ClaimedDelivery, 'eventAt' | 'attempts' | 'isReplay'>,
  attempt: { readonly durationMs: number; readonly outcome: Verdict['kind'] },
) => void

/** Registers the attempts by outcome, how long they take, and how old an event is when it is delivered. Returns what notes one. */
export function registerAttempts(registry: Registry): NoteAttempt {
  const registers = [registry]
  const attempts = new Counter({
    name: 'cashflow_webhooks_attempts_total',
    help: 'Attempts to deliver an event to an endpoint, by outcome: failed is tried again, expired is not.',
    labelNames: ['outcome'],
    registers,
  })
  const durations = new Histogram({
    name: 'cashflow_webhooks_attempt_duration_seconds',
    help: 'Duration of attempts, from the look-up of the name to the end of the answer.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of OUTCOMES) {
    attempts.inc({ outcome }, 0)
    durations.zero({ outcome })
  }
  const ages = new Histogram({
    name: 'cashflow_webhooks_created_to_delivered_seconds',
    help: 'Time from an event to its delivery, where the first attempt succeeded. Without replays.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  })
  return ({ eventAt, attempts: failed, isReplay }, { durationMs, outcome }) => {
    attempts.inc({ outcome })
    durations.observe({ outcome }, durationMs / 1_000)
    // The clocks of PostgreSQL and of this machine may differ.
    if (outcome === 'succeeded' && failed === 0 && !isReplay)
      ages.observe(Math.max(0, Date.now() - eventAt.getTime()) / 1_000)
  }
}

/** Registers the deliveries that events have become. Returns the function that notes a fan-out. */
export function registerFanOut(registry: Registry): (result: Pick<FannedOut, 'deliveries'>) => void {
  const made = new Counter({
    name: 'cashflow_webhooks_fanned_out_total',
    help: 'Deliveries that this process has made of events, one for each endpoint.',
    registers: [registry],
  })
  return ({ deliveries }) => made.inc(deliveries)
}

/** Registers the endpoints that this process has disabled. Returns the function that notes one. */
export function registerDisabled(registry: Registry): (reason: Disabling['reason']) => void {
  const disabled = new Counter({
    name: 'cashflow_webhooks_endpoints_disabled_total',
    help: 'Endpoints that this process has disabled: failing for 5 days, or gone, which is the answer 410.',
    labelNames: ['reason'],
    registers: [registry],
  })
  for (const reason of REASONS) disabled.inc({ reason }, 0)
  return (reason) => disabled.inc({ reason })
}
