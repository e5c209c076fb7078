import { type Database, registerPool } from '@cashflow/db'
import type { PaymentStatus } from '@cashflow/domain'
import { type ConnectionSupervisor, type Consumer, type Delivery, registerConnections } from '@cashflow/messaging'
import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client'
import type { PaymentHandler } from './handle-delivery.ts'
import type { createAdmission } from './provider/admission.ts'
import type { ProviderAnswer } from './provider/provider.ts'
import type { Reconciler } from './reconcile.ts'

const STATES = ['closed', 'open', 'half_open'] as const

/** The parts of a worker whose state is read at each scrape. */
export interface Observed {
  db: Database
  connections: readonly ConnectionSupervisor[]
  handler: PaymentHandler
  admission: ReturnType<typeof createAdmission>
  reconciler: Reconciler
  consumers: { readonly work: Consumer; readonly dead: Consumer }
}

/** Registers what a worker shows of itself. */
export function registerWorker(registry: Registry, observed: Observed): void {
  const { db, connections, handler, reconciler, consumers } = observed
  registerPool(registry, db)
  registerConnections(registry, connections)
  registerAdmission(registry, observed)
  const count = (name: string, help: string, label: string, read: () => Readonly<Record<string, number>>) =>
    new Counter({
      ...{ name, help, labelNames: [label], registers: [registry] },
      collect() {
        this.reset()
        for (const [value, times] of Object.entries(read())) this.inc({ [label]: value }, times)
      },
    })
  count('cashflow_worker_claims_total', 'Attempts to claim a payment, by verdict.', 'verdict', () => handler.verdicts)
  count(
    'cashflow_worker_payments_total',
    'Deliveries whose processing has ended, by what became of their payment.',
    'result',
    () => handler.processed,
  )
  count(
    'cashflow_consumer_resubscriptions_total',
    'Subscriptions that replaced one that RabbitMQ had forgotten, by queue: work or dead.',
    'consumer',
    () => ({ work: consumers.work.resubscriptions, dead: consumers.dead.resubscriptions }),
  )
  new Counter({
    name: 'cashflow_worker_redriven_total',
    help: 'Overdue payments that this worker has sent through the pipeline again.',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(reconciler.redriven)
    },
  })
}

function registerAdmission(registry: Registry, { admission }: Observed): void {
  const registers = [registry]
  new Gauge({
    name: 'cashflow_worker_breaker_state',
    help: 'State of the circuit breaker: 1 for the present one of closed, open and half_open.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of STATES) this.set({ state }, Number(admission.state === state))
    },
  })
  new Gauge({
    name: 'cashflow_worker_breaker_waiting',
    help: 'Deliveries that wait for the provider to return.',
    registers,
    collect() {
      this.set(admission.waiting)
    },
  })
  new Gauge({
    name: 'cashflow_worker_slots_in_use',
    help: 'Payments that are being claimed or charged. PROVIDER_CONCURRENCY limits them.',
    registers,
    collect() {
      this.set(admission.slotsInUse)
    },
  })
}

/** Registers the calls of the provider. Returns the function that notes one. */
export function registerProvider(registry: Registry): (answer: ProviderAnswer, seconds: number) => void {
  const histogram = new Histogram({
    name: 'cashflow_provider_call_duration_seconds',
    help: 'Duration of the calls of the provider, by outcome. An unknown outcome is a missing answer.',
    labelNames: ['outcome'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  })
  const children = new Map<string, ReturnType<typeof histogram.labels>>()
  return ({ outcome }, seconds) => {
    let child = children.get(outcome)
    if (!child) {
      child = histogram.labels(outcome)
      children.set(outcome, child)
    }
    child.observe(seconds)
  }
}

/** Registers the deliveries of the work queue. Returns a handler that notes each. */
export function registerDeliveries<Decision>(
  registry: Registry,
  handle: (delivery: Delivery) => Promise<Decision>,
): (delivery: Delivery) => Promise<Decision> {
  const deliveries = { true: 0, false: 0 }
  new Counter({
    name: 'cashflow_worker_deliveries_total',
    help: 'Deliveries of the work queue. A redelivered one was delivered before, and not acknowledged.',
    labelNames: ['redelivered'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [redelivered, count] of Object.entries(deliveries)) this.inc({ redelivered }, count)
    },
  })
  return (delivery) => {
    deliveries[`${delivery.redelivered}`] += 1
    return handle(delivery)
  }
}

/** Registers the settled payments. Returns the function that notes one. */
export function registerSettlements(registry: Registry): (status: PaymentStatus) => void {
  const counter = new Counter({
    name: 'cashflow_worker_settlements_total',
    help: 'Payments that this worker has settled, by status.',
    labelNames: ['status'],
    registers: [registry],
  })
  const children = new Map<PaymentStatus, ReturnType<typeof counter.labels>>()
  const childOf = (status: PaymentStatus) => {
    const child = children.get(status) ?? counter.labels(status)
    children.set(status, child)
    return child
  }
  for (const status of ['SUCCESS', 'FAILED'] as const) childOf(status).inc(0)
  return (status) => childOf(status).inc()
}
