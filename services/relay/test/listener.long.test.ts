import { createDatabase } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'
import {
  createTestDatabase,
  eventually,
  nullLogger,
  type PrivatePostgres,
  query,
  recordingLogger,
  startPrivatePostgres,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayListener } from '../src/listener.ts'

/** A listener, not started yet, that counts its calls. */
function listenTo(url: string, logger: Logger) {
  const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
  const counts = { notified: 0, lost: 0 }
  const onNotify = () => void counts.notified++
  const onLost = () => void counts.lost++
  const listener = createRelayListener({ db, onNotify, onLost, logger })
  const stop = async () => {
    await listener.stop()
    await db.destroy()
  }
  return Object.assign(counts, { listener, stop })
}

describe('listener of a relay', () => {
  let server: PrivatePostgres
  before(async () => {
    server = await startPrivatePostgres()
  }).timeout(180_000)
  after(() => server.stop())

  async function setReadOnly(value: 'on' | 'off'): Promise<void> {
    await query(server.url, `alter system set default_transaction_read_only = ${value}`)
    await query(server.url, 'select pg_reload_conf()')
  }
  const sessions = async () =>
    (await query(server.url, "select pid from pg_stat_activity where application_name like 'cashflow-relay-listen%'"))
      .length

  // Promise 25
  it('relay: does not listen to a server that turned read-only, and listens again once it takes writes', async () => {
    const heard = listenTo(server.url, nullLogger)
    await heard.listener.start(new AbortController().signal)
    await eventually(() => expect(heard.notified).to.equal(1)) // A listener calls onNotify once when it begins.
    await setReadOnly('on')
    await eventually(() => expect(heard.lost).to.be.above(0))
    await eventually(async () => expect(await sessions()).to.equal(0))
    expect(heard.notified).to.equal(1)

    await setReadOnly('off')
    await eventually(() => expect(heard.notified).to.equal(2))
    await query(server.url, `notify ${OUTBOX_CHANNEL}`)
    await eventually(() => expect(heard.notified).to.equal(3))
    await heard.stop()
  }).timeout(180_000)
})

describe('listener of a relay that loses its session', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  before(async () => {
    database = await createTestDatabase()
    proxy = await startTcpProxy(database.url)
  })
  after(async () => {
    await proxy.stop()
    await database.drop()
  })

  it('warns once a minute while it cannot listen, and logs when it can again', async () => {
    const { lines, logger } = recordingLogger()
    const heard = listenTo(proxy.url, logger)
    proxy.cut()
    await heard.listener.start(new AbortController().signal)
    await eventually(() => expect(heard.lost).to.be.above(1))
    expect(lines.map(({ level, message }) => `${level} ${message}`)).to.deep.equal([
      'warn cannot listen to the database, new messages are found 200 ms later',
    ])
    expect(lines[0]?.fields.error).to.be.an('error')
    proxy.restore()
    await eventually(() => expect(heard.notified).to.equal(1))
    expect(lines.map(({ level, message }) => `${level} ${message}`).slice(1)).to.deep.equal([
      'info listening to the database again',
    ])
    proxy.reset()
    await eventually(() => expect(heard.notified).to.equal(2))
    await heard.stop()
  })
})
