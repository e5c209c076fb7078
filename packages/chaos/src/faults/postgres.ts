import { openClient } from '@cashflow/testing'
import type pg from 'pg'
import type { Effect, Fault } from '../fault.ts'
import type { System } from '../system.ts'

/** More than any server of ours allows. */
const CONNECTIONS_MAX = 1_000

/** PostgreSQL dies, moves, is held up by others, and is full. */
export const POSTGRES_FAULTS: readonly Fault[] = [
  {
    name: 'postgres-restart',
    disturbs: ['postgres'],
    lastsMs: [0, 3_000],
    healsMs: 3_000,
    async run({ postgres }, { over }) {
      await postgres.crash()
      await over()
      await postgres.start()
    },
  },
  {
    name: 'postgres-terminate',
    disturbs: ['postgres'],
    lastsMs: [0, 0],
    healsMs: 500,
    run: terminateSessions,
  },
  {
    name: 'postgres-failover',
    disturbs: ['postgres', 'database links'],
    lastsMs: [0, 2_000],
    healsMs: 8_000,
    async run({ postgres, links }, { over }) {
      await postgres.failOver((standbyUrl) => {
        for (const link of links.database.all) link.redirect(standbyUrl)
      })
      await over()
      await postgres.attachStandby()
    },
  },
  {
    // What is deleted meanwhile cannot be vacuumed.
    name: 'postgres-snapshot',
    disturbs: ['postgres'],
    lastsMs: [5_000, 20_000],
    healsMs: 500,
    run: (system, { over }) =>
      holding(system, ['begin isolation level repeatable read', 'select count(*) from payments'], over),
  },
  {
    // No floor moves while its transaction has an id and no end.
    name: 'postgres-writer',
    disturbs: ['postgres'],
    lastsMs: [5_000, 20_000],
    healsMs: 500,
    run: (system, { over }) => holding(system, ['begin', 'select pg_current_xact_id()'], over),
  },
  {
    name: 'postgres-connections',
    disturbs: ['postgres'],
    lastsMs: [2_000, 8_000],
    healsMs: 1_000,
    async run(system, { over }) {
      const taken: pg.Client[] = []
      let exhausted = false
      try {
        // Those of the services, in whose place others could come.
        await terminateSessions(system)
        while (taken.length < CONNECTIONS_MAX) {
          const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => openClient(system.postgres.url)))
          taken.push(...attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? attempt.value : [])))
          const refused = attempts.filter((attempt) => attempt.status === 'rejected')
          exhausted = refused.some(({ reason }) => reason.code === '53300') // too_many_connections
          if (refused.length > 0) break // Whatever it was, ours stay.
        }
        await over()
      } finally {
        await Promise.all(taken.map((client) => client.end()))
      }
      return exhausted ? undefined : 'no effect'
    },
  },
  {
    name: 'postgres-disk-full',
    disturbs: ['postgres'],
    lastsMs: [2_000, 5_000],
    healsMs: 5_000,
    needs: 'small disk',
    async run({ postgres }, { over }) {
      await postgres.fillDisk()
      await over()
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

async function holding(system: System, statements: readonly string[], over: () => Promise<void>): Promise<undefined> {
  const client = await openClient(system.postgres.url)
  try {
    for (const statement of statements) await client.query(statement)
    await over()
  } finally {
    await client.end()
  }
}
