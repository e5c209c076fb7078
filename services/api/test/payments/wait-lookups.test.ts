import { defined } from '@cashflow/async'
import { createDatabase, type Database, findPayments, type PaymentName, type Tables } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import {
  createTestDatabase,
  createUnreadableRows,
  nullLogger,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
  type UnreadableRows,
} from '@cashflow/testing'
import { expect } from 'chai'
import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import { withoutCulprits } from '../../src/payments/wait-lookups.ts'

const EACH = 100

describe('api: look-up of many payments', () => {
  let database: TestDatabase
  let unreadable: UnreadableRows
  let proxy: TcpProxy
  /** Gets an error from PostgreSQL for each payment in ETB. */
  let db: Database
  let healthy: PaymentName[]
  let damaged: PaymentName[]

  before(async () => {
    database = await createTestDatabase()
    const all = open(database.url)
    healthy = await insert(all, 'USD')
    damaged = await insert(all, 'ETB')
    await all.destroy()
    unreadable = await createUnreadableRows(database.url, { table: 'payments', condition: `currency = 'ETB'` })
    proxy = await startTcpProxy(unreadable.url)
    db = open(proxy.url)
  })
  after(async () => {
    await db.destroy()
    await proxy.stop()
    await unreadable.drop()
    await database.drop()
  })

  const open = (url: string) => createDatabase({ url, applicationName: 'api-test', poolMax: 2, logger: nullLogger })

  async function insert(all: Kysely<Tables>, currency: string): Promise<PaymentName[]> {
    const { rows } = await sql<PaymentName>`
      insert into payments (id, merchant_id, reference, amount_minor, currency, status)
      select gen_random_uuid(), ${DEFAULT_MERCHANT_ID}, ${currency} || n, 100, ${currency}, 'PENDING'
      from generate_series(1, ${EACH}::int) n
      returning id, merchant_id as "merchantId"`.execute(all)
    return rows
  }

  /** Looks payments up. Returns the ids of those that were found, and of those that failed. */
  async function lookUp(names: readonly PaymentName[]) {
    const [found, failed] = [[] as string[], [] as string[]]
    const work = async (some: readonly PaymentName[]) => {
      for (const payment of await findPayments(db, some)) found.push(defined(payment, 'payment').id)
    }
    const error = await withoutCulprits(names, work, ({ id }) => void failed.push(id)).catch((error) => error)
    return { found, failed, error }
  }

  const idsOf = (names: readonly PaymentName[]) => names.map(({ id }) => id)

  // Promise 89
  it('api: a look-up that unreadable rows fail finds all other payments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: EACH }), async (damages) => {
        const names = damages.map((isDamaged, place) => defined((isDamaged ? damaged : healthy)[place], 'payment'))
        const { found, failed, error } = await lookUp(names)
        expect(error).to.equal(undefined)
        expect(found).to.deep.equal(idsOf(names.filter((_, place) => !damages[place])))
        expect(failed).to.deep.equal(idsOf(names.filter((_, place) => damages[place])))
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 100) },
    )
  }).timeout(60_000)

  it('api: a look-up throws the error of a database that is away, and blames no payment', async () => {
    proxy.cut()
    const { found, failed, error } = await lookUp([...healthy.slice(0, 2), ...damaged.slice(0, 2)])
    proxy.restore()
    expect(error).to.be.an('error')
    expect([found, failed]).to.deep.equal([[], []])
  })
})
