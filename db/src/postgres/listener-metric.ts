import { Gauge, type Registry } from '@prometheus-io/client'
import type { Listener } from './listener.ts'

/** Registers whether PostgreSQL answers, as the process's listener sees it. */
export function registerListener(registry: Registry, listener: Listener): void {
  new Gauge({
    name: 'cashflow_postgres_reachable',
    help: '1 while PostgreSQL answers the session that listens for notifications.',
    registers: [registry],
    collect() {
      this.set(Number(listener.isListening))
    },
  })
}
