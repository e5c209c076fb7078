import { randomUUID } from 'node:crypto'
import { eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { startReplay, updateEndpoint } from '../../src/index.ts'
import { replayPage } from '../../src/webhooks.ts'
import { eventValues, INSERT_EVENT } from '../events/feed-rig.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { deliveredTo, newEndpoint, newMerchant } from './webhook-rig.ts'

const FIRST = '00000000-0000-0000-0000-000000000000'

describe('replays and the horizon of events', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  // A relay that commits between a statement's snapshot and its look at the sessions is taken for another session.
  it('webhook replay: does not end before events that a statement takes for invisible for a moment', async () => {
    const { db } = store
    const merchantId = await newMerchant(db)
    const { id: endpointId } = await newEndpoint(db, merchantId)
    const replay = () => replayPage(db, FIRST, { eventsMax: 10, unfinishedMax: 10, bodyOf: () => '{}' })
    const relay = await openClient(store.database.url)
    const producer = await openClient(store.database.url)
    try {
      await updateEndpoint(db, { merchantId, id: endpointId, isEnabled: false })
      await relay.query(`set application_name = 'cashflow-relay 1'; begin; select pg_current_xact_id()`)
      const values = eventValues(merchantId)
      await producer.query(INSERT_EVENT, [...values])
      await updateEndpoint(db, { merchantId, id: endpointId, isEnabled: true })
      const started = await startReplay(db, { merchantId, endpointId, id: randomUUID(), start: { from: 'missed' } })
      expect(started.outcome).to.equal('started')
      await relay.query(`set application_name = 'other'`)
      expect(await replay()).to.include({ deliveries: 0, isFinished: false, isStopped: true })
      await relay.query('commit')
      // A transaction of another test's database may still hide the event, and is then waited for as well.
      await eventually(async () => expect(await replay()).to.include({ isFinished: true, isStopped: false }))
      expect(await deliveredTo(db, endpointId)).to.have.lengthOf(1)
    } finally {
      await relay.end()
      await producer.end()
    }
  })
})
