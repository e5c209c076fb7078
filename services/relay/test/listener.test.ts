import { createDatabase } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import { eventually, type PrivatePostgres, query, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { createListener } from '../src/listener.ts'

const logger = { debug() {}, info() {}, warn() {}, error() {} }

describe('the listener of a relay', () => {
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
    (await query(server.url, "select pid from pg_stat_activity where application_name = 'cashflow-relay-listen'"))
      .length

  it('relay: does not listen to a server that turned read-only, and listens again once it takes writes', async () => {
    let notified = 0
    let lost = 0
    const db = createDatabase({ url: server.url, applicationName: 'test', poolMax: 1, logger })
    const listener = createListener({
      db,
      onNotify: () => {
        notified += 1
      },
      onLost: () => {
        lost += 1
      },
      logger,
    })
    await listener.start(new AbortController().signal)
    await eventually(() => expect(notified).to.equal(1)) // It looks once when it begins.
    await setReadOnly('on')
    await eventually(() => expect(lost).to.be.above(0))
    await eventually(async () => expect(await sessions()).to.equal(0))
    expect(notified).to.equal(1)

    await setReadOnly('off')
    await eventually(() => expect(notified).to.equal(2))
    await query(server.url, `notify ${OUTBOX_CHANNEL}`)
    await eventually(() => expect(notified).to.equal(3))
    await listener.stop()
  }).timeout(180_000)
})
