import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, isTransient } from '../../src/index.ts'
import { serviceSession } from '../../src/migrate/schema.ts'
import { newPayment } from '../test-store.ts'
import { createFormerDatabase, logger, migrateAll } from './former-database.ts'

const CLIENTS = 8

/** Retries as services do. Their lock timeout equals the migration's, so either of them can end first. */
async function retryTransient(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return void (await work())
    } catch (error) {
      if (!isTransient(error) || attempt === 2) throw error
    }
  }
}

describe('migrate', () => {
  // Promise 62
  it('logs that it waits, and retries, while a report holds a lock that it needs, and fails no payment', async () => {
    const database = await createFormerDatabase()
    const open = (applicationName: string, poolMax: number) =>
      createDatabase({ url: database.url, applicationName, poolMax, idleInTransactionMs: 0, logger })
    const former = open('cashflow-api', 1)
    await sql`select 1`.execute(former)
    await migrateAll(database.db)
    await former.destroy()

    const holder = open('report', 1)
    const report = await holder.startTransaction().execute()
    await sql`select 1 from payments`.execute(report)
    const api = open(serviceSession('api'), CLIENTS)
    let stored = 0
    const ended = new AbortController()
    const clients = Array.from({ length: CLIENTS }, async () => {
      while (!ended.signal.aborted) {
        const { payment } = newPayment()
        // Not the statement of this version, which needs a migration that is still to come.
        await retryTransient(() =>
          sql`
            insert into payments (id, merchant_id, reference, amount_minor, currency, status)
            values (${payment.id}, ${payment.merchantId}, ${payment.reference}, 1, 'USD', 'PENDING')
            on conflict do nothing`.execute(api),
        )
        stored += 1
        await sleep(10)
      }
    })
    const warnings: object[] = []
    const log = { info: () => {}, warn: (_: string, fields: object) => warnings.push(fields) }
    const migrating = migrateAll(database.db, { logger: log as never })
    await eventually(() => expect(warnings).to.have.length(2))
    expect(warnings[0]).to.deep.include({ migration: '0009_drop_former_indexes', step: 1, retry_ms: 2_000 })
    expect(warnings[0])
      .to.have.property('waits_for')
      .that.containSubset([{ application: 'report' }])
    await report.commit().execute()
    expect((await migrating).applied).to.deep.equal([
      '0009_drop_former_indexes',
      '0015_drop_request_hash',
      '0021_event_hashes',
    ])
    const before = stored
    await eventually(() => expect(stored).to.be.above(before + CLIENTS))
    ended.abort()
    await Promise.all(clients)
    const { rows } = await sql`select count(*)::int as count from payments`.execute(database.db)
    expect(rows).to.deep.equal([{ count: stored }])
    for (const db of [api, holder]) await db.destroy()
    await database.drop()
  })
})
