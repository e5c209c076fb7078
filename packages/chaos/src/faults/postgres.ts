import { openClient } from '@cashflow/testing'
import type pg from 'pg'
import type { Effect, Fault } from '../fault.ts'
import type { System } from '../system.ts'

/** More connections than the server allows. */
const CONNECTIONS_MAX = 1_000

/** PostgreSQL crashes, fails over, is held up by other sessions, and has a full disk. */
export const POSTGRES_FAULTS: readonly Fault[] = [
  {
    name: 'postgres-restart',
    disturbs: ['postgres'],
    lastsMs: [0, 3_000],
    recoveryMs: 3_000,
    async run({ postgres }, { untilEnd }) {
      await postgres.crash()
      await untilEnd()
      await postgres.start()
    },
  },
  {
    name: 'postgres-terminate',
    disturbs: ['postgres'],
    lastsMs: [0, 0],
    recoveryMs: 500,
    run: terminateSessions,
  },
  {
    name: 'postgres-failover',
    disturbs: ['postgres', 'database links'],
    lastsMs: [0, 2_000],
    recoveryMs: 8_000,
    async run({ postgres, links }, { untilEnd }) {
      await postgres.failOver((standbyUrl) => {
        for (const link of links.database.all) link.redirect(standbyUrl)
      })
      await untilEnd()
      await postgres.attachStandby()
    },
  },
  // Rows that are deleted while the snapshot is held cannot be vacuumed.
  holding('postgres-snapshot', ['begin isolation level repeatable read', 'select count(*) from payments']),
  // No floor moves while this transaction is open, because it has a transaction id.
  holding('postgres-writer', ['begin', 'select pg_current_xact_id()']),
  {
    name: 'postgres-connections',
    disturbs: ['postgres'],
    lastsMs: [2_000, 8_000],
    recoveryMs: 1_000,
    async run(system, { untilEnd }) {
      const clients: pg.Client[] = []
      let exhausted = false
      try {
        // The sessions of the services end first. Otherwise their places could be clients by new ones.
        await terminateSessions(system)
        while (clients.length < CONNECTIONS_MAX) {
          const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => openClient(system.postgres.url)))
          clients.push(...attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? attempt.value : [])))
          const refused = attempts.filter((attempt) => attempt.status === 'rejected')
          exhausted = refused.some(({ reason }) => reason.code === '53300') // too_many_connections
          if (refused.length > 0) break // The open connections stay.
        }
        await untilEnd()
      } finally {
        await Promise.all(clients.map((client) => client.end()))
      }
      return exhausted ? undefined : 'no effect'
    },
  },
  {
    name: 'postgres-disk-full',
    disturbs: ['postgres'],
    lastsMs: [2_000, 5_000],
    recoveryMs: 5_000,
    needs: 'small disk',
    async run({ postgres }, { untilEnd }) {
      await postgres.fillDisk()
      await untilEnd()
      await postgres.freeDisk()
      await postgres.start()
    },
  },
]

async function terminateSessions({ query }: System): Promise<Effect> {
  const ended = await query(
    "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
  )
  return ended.length === 0 ? 'no effect' : undefined
}

/** A session holds the transaction of these statements open. */
function holding(name: string, statements: readonly string[]): Fault {
  return {
    name,
    disturbs: ['postgres'],
    lastsMs: [5_000, 20_000],
    recoveryMs: 500,
    async run({ postgres }, { untilEnd }) {
      const client = await openClient(postgres.url)
      try {
        for (const statement of statements) await client.query(statement)
        await untilEnd()
      } finally {
        await client.end()
      }
      return undefined
    },
  }
}
