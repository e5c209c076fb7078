import { readFeed } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { openClient, recordingLogger } from '@cashflow/testing'
import { expect } from 'chai'
import { createFeedDelayLog } from '../../src/events/feed-delay.ts'
import { bodyWith, post } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import { startApiOnOwnServer } from './start-own-server.ts'

describe('GET /events: events that are not shown yet', () => {
  let api: ApiUnderTest & { databaseUrl: string }
  before(async () => {
    api = await startApiOnOwnServer()
  })
  beforeEach(() => api.db.deleteFrom('payment_events').execute())
  after(() => api?.stop())

  // Promise 87
  it('GET /events: tells how old the oldest hidden event is, and logs once a minute what holds it up', async () => {
    const client = await openClient(api.databaseUrl, { application_name: 'nightly report' })
    try {
      await client.query('begin')
      await client.query('select pg_current_xact_id()')
      const { rows } = await client.query('select pg_backend_pid() as pid')
      const { id } = (await post(api, bodyWith())).body
      await api.db
        .updateTable('payment_events')
        .set({ created_at: new Date(Date.now() - 11_000) })
        .where('payment_id', '=', id)
        .execute()
      const { body } = await api.agent.get('/events')
      expect(body.data).to.deep.equal([])
      expect(body.delayed_ms).to.be.within(11_000, 60_000)
      expect((await api.agent.get(`/payments/${id}/events`)).body.data, 'of one payment').to.have.length(1)
      await api.agent.get('/events')
      const lines = api.logs.filter(({ message }) => message === 'events are not shown yet, an older transaction runs')
      expect(lines).to.have.length(1)
      expect(lines[0]).to.include({
        level: 'warn',
        pid: rows[0].pid,
        application: 'nightly report',
        database: 'payments',
      })
      await client.query('commit')
      expect((await api.agent.get('/events')).body).to.deep.include({ delayed_ms: 0 })
    } finally {
      await client.end()
    }
  })

  // Promise 87
  it('GET /events: the log names the prepared transaction that holds events up, from 10 seconds on and once a minute', async () => {
    const client = await openClient(api.databaseUrl)
    try {
      await client.query('begin')
      await client.query('select pg_current_xact_id()')
      await client.query("prepare transaction 'nightly import'")
      await post(api, bodyWith())
      const page = await readFeed(api.db, { merchantId: DEFAULT_MERCHANT_ID, limit: 10 })
      expect(page).to.deep.include({ events: [] })
      const { logger, lines } = recordingLogger()
      let nowMs = 0
      const logDelay = createFeedDelayLog(api.db, logger, { now: () => nowMs })
      await logDelay({ ...page, delayedMs: 9_999 })
      expect(lines).to.deep.equal([])
      const fields = { delayed_ms: 10_000, xid: page.horizon, pid: undefined, application: undefined }
      const line = {
        level: 'warn',
        message: 'events are not shown yet, an older transaction runs',
        fields: { ...fields, gid: 'nightly import', database: 'payments' },
      }
      await logDelay({ ...page, delayedMs: 10_000 })
      expect(lines).to.deep.equal([line])
      nowMs = 59_999
      await logDelay({ ...page, delayedMs: 10_000 })
      expect(lines).to.have.length(1)
      nowMs = 60_000
      await logDelay({ ...page, delayedMs: 10_000 })
      expect(lines).to.deep.equal([line, line])
    } finally {
      await client.query("rollback prepared 'nightly import'")
      await client.end()
    }
  })
})
