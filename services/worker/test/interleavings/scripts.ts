import { createDatabase } from '@cashflow/db'
import { createTestDatabase, nullLogger } from '@cashflow/testing'
import fc from 'fast-check'
import type { ProviderAnswer } from '../../src/provider/provider.ts'
import type { Reception } from './broker.ts'
import { createLedger, empty } from './ledger.ts'
import type { Fate } from './stage.ts'
import { play, type Script } from './world.ts'

const often = <Value>(value: Value, weight: number) => ({ weight, arbitrary: fc.constant(value) })
const rarely = <Value>(...values: Value[]) => ({ weight: 1, arbitrary: fc.constantFrom(...values) })

const scripts: fc.Arbitrary<Script> = fc.record({
  payments: fc.integer({ min: 1, max: 3 }),
  relays: fc.integer({ min: 1, max: 3 }),
  workers: fc.integer({ min: 2, max: 4 }),
  steps: fc.array(
    fc.record({
      choice: fc.nat(10_000),
      fate: fc.oneof(often<Fate>('done', 9), rarely<Fate>('dies_before', 'dies_after', 'lost_before', 'lost_after')),
    }),
    { minLength: 30, maxLength: 90, size: 'max' },
  ),
  receptions: fc.array(
    fc.oneof(
      often<Reception>('confirmed', 2),
      rarely<Reception>('nacked', 'returned', 'unknown_lost', 'unknown_arrived'),
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

/** Plays random scripts, one after another, on a new database. Each takes about half a second. */
export async function playScripts({ runs, seed, path = '' }: { runs: number; seed: number; path?: string }) {
  const database = await createTestDatabase()
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
  try {
    await createLedger(db)
    const property = fc.asyncProperty(scripts, async (script) => {
      await empty(db)
      await play(db, database.url, script)
    })
    // No shrinking: a failed script can be replayed by its seed and path.
    await fc.assert(property, { numRuns: runs, seed, path, endOnFailure: true })
  } finally {
    await db.destroy()
    await database.drop()
  }
}
