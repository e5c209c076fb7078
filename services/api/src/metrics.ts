import { type Database, type Listener, registerListener, registerPool } from '@cashflow/db'
import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client'
import type { Waits } from './payments/waits.ts'
import type { Queues } from './queues.ts'
import { routeOf } from './route-of.ts'

/** Methods that have their own name in metrics. A client may send any other. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])

/** A request after its answer, or after its client has gone. */
export interface EndedRequest {
  readonly method: string
  /** The path without its query. */
  readonly path: string
  /** Undefined if the client has gone before the answer. */
  readonly status: number | undefined
  readonly seconds: number
}

/** The parts of an api whose state is read at each scrape. */
interface Observed {
  db: Database
  queues: Queues
  waits: Waits
  listener: Listener
}

/** Registers what an api shows of itself. */
export function registerApi(registry: Registry, { db, queues, waits, listener }: Observed): void {
  const registers = [registry]
  registerPool(registry, db)
  registerListener(registry, listener)
  new Gauge({
    name: 'cashflow_api_queue_requests',
    help: 'Requests that use PostgreSQL (running) or wait for it (waiting), by queue.',
    labelNames: ['queue', 'state'],
    registers,
    collect() {
      for (const [queue, { running, waiting }] of Object.entries(queues)) {
        this.set({ queue, state: 'running' }, running)
        this.set({ queue, state: 'waiting' }, waiting)
      }
    },
  })
  new Gauge({
    name: 'cashflow_api_waits',
    help: 'Requests that wait until their payment is settled.',
    registers,
    collect() {
      this.set(waits.waiting)
    },
  })
}

/** Registers the requests. Returns the function that notes one. */
export function registerRequests(registry: Registry): (request: EndedRequest) => void {
  const histogram = new Histogram({
    name: 'cashflow_http_request_duration_seconds',
    help: 'Duration of the requests, by the pattern of their route and the status of their answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  const children = new Map<string, ReturnType<typeof histogram.labels>>()
  return ({ method: given, path, status: answered, seconds }) => {
    const method = METHODS.has(given) ? given : 'other'
    const route = routeOf(path)
    const status = String(answered ?? 'abandoned')
    const key = `${method} ${route} ${status}`
    let child = children.get(key)
    if (!child) {
      child = histogram.labels(method, route, status)
      children.set(key, child)
    }
    child.observe(seconds)
  }
}

/** Registers the payments that were stored. Returns the function that notes a number of them. */
export function registerCreated(registry: Registry): (payments: number) => void {
  const counter = new Counter({
    name: 'cashflow_api_payments_created_total',
    help: 'Payments that this api has stored.',
    registers: [registry],
  })
  return (payments) => counter.inc(payments)
}

/** Registers the transactions that store payments. Returns the function that notes the number of payments of one. */
export function registerBatches(registry: Registry): (payments: number) => void {
  const histogram = new Histogram({
    name: 'cashflow_api_write_batch_payments',
    help: 'Payments that are stored in one transaction.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
    registers: [registry],
  })
  return (payments) => histogram.observe(payments)
}
