import { expect } from 'chai'
import {
  createTestVhost,
  eventually,
  type Pipeline,
  type PrivatePostgres,
  startPipeline,
  startPrivatePostgres,
  startTcpProxy,
  type TcpProxy,
} from '../src/index.ts'

/** From a message to its confirm. A relay waits for 5 s at most. */
const CONFIRM_MS = 4_000

describe('event feed with a slow broker', function () {
  this.timeout(120_000)
  let server: PrivatePostgres
  let broker: TcpProxy
  let pipeline: Pipeline | undefined
  before(async () => {
    // A server of its own: the feed waits for every transaction of the server, also of other tests.
    server = await startPrivatePostgres()
    const vhost = await createTestVhost()
    broker = await startTcpProxy(vhost.url)
    const database = { url: server.url, drop: () => server.stop() }
    const settings = { RABBITMQ_URL: broker.url }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, settings, { database, vhost })
  })
  after(async () => {
    await pipeline?.stop()
    await broker?.stop()
  })

  // Promise 87
  it('event feed: shows an event while the relay’s transaction waits 4 s for a confirm of the broker', async () => {
    const { db, post, processes } = pipeline ?? expect.fail('The services did not start')
    const [api] = processes.api
    const { url } = (await api?.logged('listening')) ?? expect.fail('no API')
    const events = async (after: string) => {
      const answer = await fetch(`${url}/events?${after && `after=${after}`}`)
      return (await answer.json()) as { data: { payment: { id: string } }[]; next_cursor: string }
    }
    /** Milliseconds for which a relay's transaction has had an xid. */
    const relayMs = async () => {
      const { rows } = await db.query(
        `select extract(epoch from clock_timestamp() - xact_start) * 1000 as ms from pg_stat_activity
        where application_name like 'cashflow-relay (%' and backend_xid is not null`,
      )
      return rows[0] ? Number(rows[0].ms) : 0
    }
    await post('REF-warm')
    await eventually(async () => expect((await db.query('select 1 from outbox_messages')).rows).to.have.length(0))

    broker.delay(CONFIRM_MS / 2)
    let { next_cursor } = await events('')
    let relayMsMax = 0
    for (let sent = 0; relayMsMax < CONFIRM_MS - 1_000; sent++) {
      const { id } = await post(`REF-${sent}`)
      // Autovacuum may have an xid for some milliseconds.
      const shown = await eventually(
        async () => {
          const page = await events(next_cursor)
          const ids = page.data.map(({ payment }) => payment.id)
          expect(ids, `the relay's transaction runs for ${relayMsMax} ms`).to.deep.equal([id])
          return page
        },
        { timeoutMs: 1_000 },
      )
      next_cursor = shown.next_cursor
      relayMsMax = Math.max(relayMsMax, await relayMs())
    }
  })
})
