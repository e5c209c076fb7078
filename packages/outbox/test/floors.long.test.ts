import fc from 'fast-check'
import { floorsHold } from './floors-hold.ts'
import { createTestOutbox, type TestOutbox } from './test-outbox.ts'

const RUNS = Number(process.env.PROPERTY_RUNS ?? 150)

describe('floors', () => {
  let outbox: TestOutbox
  before(async () => {
    outbox = await createTestOutbox()
  })
  after(() => outbox.drop())

  // Promise 8
  it('floors leave no message behind and keep each key in order in many runs, however late producers commit', async () => {
    await fc.assert(floorsHold(outbox), { numRuns: RUNS })
  }).timeout(60_000 + RUNS * 1_000)
})
