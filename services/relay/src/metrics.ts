import { type Database, type Listener, registerListener, registerPool } from '@cashflow/db'
import { type ConfirmPublisher, type ConnectionSupervisor, registerConnections } from '@cashflow/messaging'
import type { OutboxMessage } from '@cashflow/outbox'
import { Counter, Gauge, Histogram, type Registry } from '@prometheus-io/client'
import type { RoutingWatch } from './routing-watch.ts'

/** The parts of a relay whose state is read at each scrape. */
interface Observed {
  db: Database
  connection: ConnectionSupervisor
  publisher: ConfirmPublisher
  listener: Listener
  routingWatch: RoutingWatch
}

/** Registers what a relay shows of itself. */
export function registerRelay(
  registry: Registry,
  { db, connection, publisher, listener, routingWatch }: Observed,
): void {
  const registers = [registry]
  registerPool(registry, db)
  registerConnections(registry, [connection])
  registerListener(registry, listener)
  new Counter({
    name: 'cashflow_relay_messages_total',
    help: 'Messages given to RabbitMQ, by outcome. The same message counts again when it is published again.',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset()
      for (const [outcome, messages] of Object.entries(publisher.outcomes)) this.inc({ outcome }, messages)
    },
  })
  new Gauge({
    name: 'cashflow_relay_messages_in_flight',
    help: 'Messages sent to RabbitMQ and not yet answered.',
    registers,
    collect() {
      this.set(publisher.inFlight)
    },
  })
  registerQueue(registers, routingWatch)
}

function registerQueue(registers: Registry[], { seen }: RoutingWatch): void {
  for (const [name, help, of] of [
    ['cashflow_relay_queue_consumers', 'Consumers of the queue of payments.', 'consumers'],
    ['cashflow_relay_queue_messages', 'Messages in the queue of payments that no worker has taken.', 'ready'],
  ] as const)
    new Gauge({
      name,
      help: `${help} A relay looks every 10 seconds, and shows nothing while RabbitMQ is away.`,
      registers,
      collect() {
        this.reset()
        const state = seen()
        if (state) this.set(state[of])
        else this.remove()
      },
    })
}

/** Registers the time from a message's append, or from when it was due, to its confirm. Returns the function that notes one. */
export function registerConfirms(registry: Registry): (message: OutboxMessage) => void {
  const histogram = new Histogram({
    name: 'cashflow_relay_created_to_confirmed_seconds',
    help: 'Time from the append of a message, or from when it was due, until RabbitMQ has confirmed it and it is deleted.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers: [registry],
  })
  // The clocks of PostgreSQL and of this machine may differ.
  return ({ createdAt }) => histogram.observe(Math.max(0, Date.now() - createdAt.getTime()) / 1_000)
}
