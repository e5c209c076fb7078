import { Gauge, type Registry } from '@prometheus-io/client'
import type { Database } from './database.ts'

/** Registers the state of a process's pool of sessions with PostgreSQL. */
export function registerPool(registry: Registry, db: Database): void {
  const registers = [registry]
  new Gauge({
    name: 'cashflow_pool_sessions',
    help: 'Sessions of the pool with PostgreSQL, by state: in_use or idle.',
    labelNames: ['state'],
    registers,
    collect() {
      const { inUse, idle } = db.sessions
      this.set({ state: 'in_use' }, inUse)
      this.set({ state: 'idle' }, idle)
    },
  })
  new Gauge({
    name: 'cashflow_pool_waiting',
    help: 'Callers that wait for a session of the pool.',
    registers,
    collect() {
      this.set(db.sessions.waiting)
    },
  })
}
