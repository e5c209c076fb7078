import { eventually, recordingLogger, startTcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase } from '../../src/index.ts'
import { createSampler } from '../../src/operator.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const FAILS = 'could not store the numbers of the charts, trying again'

describe('the chart sampler', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore()
  })
  afterEach(() => store.drop())

  const { signal } = new AbortController()
  const slots = async () => (await store.db.selectFrom('chart_slots').select('slot').execute()).length

  it('chart sampler: writes the last slot when it starts, and its loop ends with it', async () => {
    const sampler = createSampler({ db: store.db, logger: recordingLogger().logger })
    await sampler.start(signal)
    await eventually(async () => expect(await slots()).to.equal(1))
    expect(Array.from(sampler.loops ?? [], ({ name }) => name)).to.deep.equal(['chart sampler'])
    await sampler.stop()
    await eventually(() => expect([...(sampler.loops ?? [])]).to.deep.equal([]))
  })

  it('chart sampler: samples that fail are one line in the log, and end with another one', async () => {
    await sql`alter table chart_slots rename to away`.execute(store.db)
    const { logger, lines } = recordingLogger()
    const sampler = createSampler({ db: store.db, logger })
    await sampler.start(signal)
    const messages = () => lines.map(({ message }) => message)
    await eventually(() => expect(messages()).to.deep.equal([FAILS]))
    await sql`alter table away rename to chart_slots`.execute(store.db)
    await eventually(() => expect(messages()).to.deep.equal([FAILS, 'the numbers of the charts are stored again']))
    expect(await slots()).to.be.at.least(1)
    await sampler.stop()
  })

  it('chart sampler: stops at once although PostgreSQL does not answer', async () => {
    const proxy = await startTcpProxy(store.database.url)
    const { logger } = recordingLogger()
    const db = createDatabase({ url: proxy.url, applicationName: 'frozen', poolMax: 1, logger })
    proxy.holdAnswerTo('clock_timestamp')
    const sampler = createSampler({ db, logger })
    await sampler.start(signal)
    await eventually(() => expect(proxy.held).to.be.above(0))
    const startedAt = performance.now()
    await sampler.stop()
    expect(performance.now() - startedAt).to.be.below(1_000)
    proxy.restore()
    await db.destroy()
    await proxy.stop()
  })
})
