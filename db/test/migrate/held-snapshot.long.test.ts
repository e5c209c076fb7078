import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase } from '../../src/index.ts'
import { newPayment } from '../test-store.ts'
import { createFormerDatabase, logger, migrateAll, migrateUpTo } from './former-database.ts'

const HELD_MS = 30_000

describe('migrate', () => {
  // Promise 62
  for (const [what, statement] of [
    ['another table', 'select 1 from merchants'],
    ['payments', 'select 1 from payments'],
  ] as const)
    it(`waits while a report holds a snapshot of ${what} for 30 s, and ends neither the report nor a payment`, async () => {
      const database = await createFormerDatabase()
      await migrateUpTo(database.db, '0007_pruned_references')
      // Named like a service of the version before.
      const api = createDatabase({ url: database.url, applicationName: 'cashflow-api', poolMax: 2, logger })
      const holder = createDatabase({
        url: database.url,
        applicationName: 'report',
        poolMax: 1,
        idleInTransactionMs: 0,
        logger,
      })
      const report = await holder.startTransaction().setIsolationLevel('repeatable read').execute()
      await sql.raw(statement).execute(report)
      const waits: object[] = []
      const warnings: string[] = []
      const log = {
        info: (message: string, fields: object) => message.includes('waits for other sessions') && waits.push(fields),
        warn: (message: string) => warnings.push(message),
      }
      let migrated: string[] | undefined
      const migrating = migrateAll(database.db, { logger: log as never }).then(({ applied }) => {
        migrated = [...applied]
      })
      const heldFrom = performance.now()
      let stored = 0
      while (performance.now() - heldFrom < HELD_MS) {
        // An insert that waited for a lock of the migration would fail after 2 s.
        const { payment } = newPayment()
        for (const { id } of [payment, newPayment().payment])
          await sql`
            insert into payments (id, merchant_id, reference, amount_minor, currency, status)
            values (${id}, ${payment.merchantId}, ${payment.reference}, 1, 'USD', 'PENDING')
            on conflict do nothing`.execute(api)
        stored += 1
        expect(migrated).to.equal(undefined)
      }
      expect(waits).to.have.length.of.at.least(1)
      expect(waits[0]).to.have.property('waits_for').with.length(1)
      expect(await sql`select 1`.execute(report))
        .to.have.property('rows')
        .with.length(1)
      await report.commit().execute()
      await migrating
      expect(migrated).to.include('0008_text_by_bytes')
      expect(warnings).to.deep.equal([])
      const { rows } = await sql<{ count: number }>`select count(*)::int as count from payments`.execute(database.db)
      expect(rows).to.deep.equal([{ count: stored }])
      await api.destroy()
      await holder.destroy()
      await eventually(async () =>
        expect((await migrateAll(database.db)).applied).to.deep.equal([
          '0009_drop_former_indexes',
          '0015_drop_request_hash',
          '0021_event_hashes',
        ]),
      )
      await database.drop()
    })
})
