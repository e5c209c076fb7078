import { createDatabase, type Tables } from '@cashflow/db'
import { createTestDatabase, type TestDatabase } from '@cashflow/testing'
import fc from 'fast-check'
import type { Kysely } from 'kysely'
import type { ProviderAnswer } from '../src/provider.ts'
import type { Reception } from './interleavings/broker.ts'
import { createLedger, empty } from './interleavings/ledger.ts'
import type { Fate } from './interleavings/stage.ts'
import { play, type Script } from './interleavings/world.ts'

// A failure names its seed and path: INTERLEAVINGS_SEED=… INTERLEAVINGS_PATH=… runs it again.
const RUNS = Number(process.env.INTERLEAVINGS_RUNS ?? 100)
const SEED = Number(process.env.INTERLEAVINGS_SEED ?? Date.now() % 2 ** 31)
const PATH = process.env.INTERLEAVINGS_PATH ?? ''

const often = <Value>(value: Value, weight: number) => ({ weight, arbitrary: fc.constant(value) })
const rarely = <Value>(...values: Value[]) => ({ weight: 1, arbitrary: fc.constantFrom(...values) })

const scripts: fc.Arbitrary<Script> = fc.record({
  payments: fc.integer({ min: 1, max: 3 }),
  relays: fc.integer({ min: 1, max: 3 }),
  workers: fc.integer({ min: 2, max: 4 }),
  steps: fc.array(
    fc.record({
      choice: fc.nat(10_000),
      fate: fc.oneof(often<Fate>('done', 9), rarely<Fate>('dies before', 'dies after', 'lost before', 'lost after')),
    }),
    { minLength: 30, maxLength: 90, size: 'max' },
  ),
  receptions: fc.array(
    fc.oneof(
      often<Reception>('confirmed', 2),
      rarely<Reception>('nacked', 'returned', 'unknown, lost', 'unknown, arrived'),
    ),
    { maxLength: 30, size: 'max' },
  ),
  answers: fc.array(
    fc.constantFrom<ProviderAnswer>(
      { outcome: 'approved' },
      { outcome: 'declined', failureCode: 'insufficient_funds' },
      { outcome: 'unknown', reason: 'HTTP 503' },
      { outcome: 'pending' },
      { outcome: 'refused', reason: 'HTTP 400', othersAnswered: true },
      { outcome: 'refused', reason: 'HTTP 400', othersAnswered: false },
    ),
    { maxLength: 12, size: 'max' },
  ),
})

describe('relays and workers, in any order, dying anywhere', () => {
  let database: TestDatabase
  let db: Kysely<Tables>
  before(async () => {
    database = await createTestDatabase()
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger })
    await createLedger(db)
  })
  after(async () => {
    await db.destroy()
    await database.drop()
  })

  it(`settle each payment once and lose no message (seed ${SEED})`, async () => {
    const property = fc.asyncProperty(scripts, async (script) => {
      await empty(db)
      await play(db, database.url, script)
    })
    // Without shrinking: each run takes half a second, and the script that failed can be played again.
    await fc.assert(property, { numRuns: RUNS, seed: SEED, path: PATH, endOnFailure: true })
  }).timeout(600_000)
})
