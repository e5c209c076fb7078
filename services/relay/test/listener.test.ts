import type { LogFields } from '@cashflow/runtime'
import { createTestDatabase, eventually, startTcpProxy, type TcpProxy, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { createListener } from '../src/listener.ts'

describe('the listener of a relay', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  const lines: { level: string; message: string; fields: LogFields }[] = []
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields })
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  before(async () => {
    database = await createTestDatabase()
    proxy = await startTcpProxy(database.url)
  })
  after(async () => {
    await proxy.stop()
    await database.drop()
  })

  it('warns once a minute while it cannot listen, and says when it can again', async () => {
    let lost = 0
    let notified = 0
    const listener = createListener({
      databaseUrl: proxy.url,
      onNotify: () => {
        notified += 1
      },
      onLost: () => {
        lost += 1
      },
      logger,
    })
    proxy.cut()
    await listener.start(new AbortController().signal)
    await eventually(() => expect(lost).to.be.above(1))
    expect(lines.map(({ level, message }) => `${level} ${message}`)).to.deep.equal([
      'warn cannot listen to the database, new messages are found 200 ms later',
    ])
    expect(lines[0]?.fields.error).to.be.an('error')
    proxy.restore()
    await eventually(() => expect(notified).to.equal(1))
    expect(lines.map(({ level, message }) => `${level} ${message}`).slice(1)).to.deep.equal([
      'info listening to the database again',
    ])
    proxy.reset()
    await eventually(() => expect(notified).to.equal(2))
    await listener.stop()
  })
})
