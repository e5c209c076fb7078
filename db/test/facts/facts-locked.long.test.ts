import { eventually, openClient, recordingLogger } from '@cashflow/testing'
import { Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { createFacts, registerFacts } from '../../src/index.ts'
import { createTestStore } from '../test-store.ts'

describe('facts of a database with a locked table', () => {
  // Promise 102
  it('facts: a locked table leaves out its own facts, and no others', async () => {
    const store = await createTestStore()
    const { logger, linesOf } = recordingLogger()
    const facts = createFacts({ db: store.db, standbyRequired: false, logger, lookMs: 20 })
    const registry = new Registry()
    registerFacts(registry, facts)
    const holder = await openClient(store.database.url)
    await holder.query('begin; lock table instances in access exclusive mode')
    await facts.start(new AbortController().signal)
    await eventually(() => expect(facts.last).not.to.equal(undefined))
    const text = await registry.metrics()
    expect(text)
      .to.match(/^cashflow_db_payments_pending 0$/m)
      .and.match(/^cashflow_db_oldest_xmin_seconds \d/m)
    expect(text).not.to.match(/^cashflow_db_instances\{/m)
    expect(linesOf('could not read the facts of the database, trying again')).to.have.length(1)
    await holder.query('rollback')
    await holder.end()
    await eventually(async () => expect(await registry.metrics()).to.match(/^cashflow_db_instances\{/m))
    await facts.stop()
    await store.drop()
  })
})
