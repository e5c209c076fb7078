import { Counter, Gauge, type Registry } from '@prometheus-io/client'
import type { ConnectionSupervisor } from './connection-supervisor.ts'

/** Registers the state of a process's connections to RabbitMQ. */
export function registerConnections(registry: Registry, connections: readonly ConnectionSupervisor[]): void {
  const shared = { labelNames: ['connection'], registers: [registry] }
  new Gauge({
    ...shared,
    name: 'cashflow_amqp_connected',
    help: '1 while the connection to RabbitMQ is up.',
    collect() {
      for (const { label, ready } of connections) this.set({ connection: label }, Number(ready))
    },
  })
  new Gauge({
    ...shared,
    name: 'cashflow_amqp_blocked',
    help: '1 while RabbitMQ blocks publishers because of an alarm.',
    collect() {
      for (const { label, blocked } of connections) this.set({ connection: label }, Number(blocked))
    },
  })
  new Counter({
    ...shared,
    name: 'cashflow_amqp_blocked_seconds_total',
    help: 'Time in which RabbitMQ blocked publishers.',
    collect() {
      this.reset()
      for (const { label, blockedMs } of connections) this.inc({ connection: label }, blockedMs / 1_000)
    },
  })
  new Counter({
    ...shared,
    name: 'cashflow_amqp_reconnects_total',
    help: 'Connections to RabbitMQ after the first one.',
    collect() {
      this.reset()
      for (const { label, reconnects } of connections) this.inc({ connection: label }, reconnects)
    },
  })
}
