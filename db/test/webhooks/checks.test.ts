import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { expect } from 'chai'
import { startCheck } from '../../src/index.ts'
import { claimCheck, finishCheck, releaseCheck } from '../../src/webhooks.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint } from './webhook-rig.ts'

const LEASE_MS = 600_000
const REPORT = { result: 'passed' }

describe('claims of checks of receivers', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  // Promise 129
  it('checks of receivers: the end and the release of a former claim change nothing', async () => {
    const { db } = store
    const [id, former, present] = [randomUUID(), randomUUID(), randomUUID()]
    const endpointId = (await newEndpoint(db, DEFAULT_MERCHANT_ID)).id
    await startCheck(db, { merchantId: DEFAULT_MERCHANT_ID, endpointId, id, kind: 'check' })
    expect(await claimCheck(db, { token: former, leaseMs: 0 })).to.include({ id, starts: 1 })
    expect(await claimCheck(db, { token: present, leaseMs: LEASE_MS })).to.include({ id, starts: 2 })

    const row = () => db.selectFrom('webhook_checks').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    const claimed = await row()
    expect(claimed).to.include({ claim_token: present, finished_at: null, report: null })
    expect(await finishCheck(db, { id, token: former, report: { result: 'failed' } })).to.equal(false)
    await releaseCheck(db, { id, token: former })
    expect(await row()).to.deep.equal(claimed)

    expect(await finishCheck(db, { id, token: present, report: REPORT })).to.equal(true)
    const finished = await row()
    expect(finished.report).to.deep.equal(REPORT)
    for (const token of [former, present]) {
      expect(await finishCheck(db, { id, token, report: { result: 'failed' } })).to.equal(false)
      await releaseCheck(db, { id, token })
    }
    expect(await row()).to.deep.equal(finished)
  })
})
