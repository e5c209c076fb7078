import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createDatabase, type Database } from '@cashflow/db'
import {
  createTestDatabase,
  eventually,
  nullLogger,
  recordingLogger,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import express from 'express'
import type { Overview, PaymentsAnswer } from '../src/answers.ts'
import { createLive } from '../src/server/live.ts'
import { storePayment } from './stored.ts'

const HOUR_MS = 3_600_000

interface Seen {
  readonly event: string
  readonly data: unknown
}

describe('live view of the console', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  let db: Database
  beforeEach(async () => {
    database = await createTestDatabase()
    proxy = await startTcpProxy(database.url)
    db = createDatabase({ url: proxy.url, applicationName: 'test', poolMax: 3, logger: nullLogger })
  })
  afterEach(async () => {
    await db.destroy()
    await proxy.stop()
    await database.drop()
  })

  /** Serves the live view to a login that ends after `loginMs`, and counts the statements that it sends. */
  async function startLive(loginMs = HOUR_MS) {
    let statements = 0
    const counted = db.withPlugin({
      transformQuery({ node }) {
        statements += 1
        return node
      },
      transformResult: async ({ result }) => result,
    })
    const log = recordingLogger()
    const live = createLive({ db: counted, logger: log.logger })
    const app = express().get('/live', (_req, res, next) => {
      res.locals.operator = { id: randomUUID(), name: 'ann', role: 'read', expiresAt: new Date(Date.now() + loginMs) }
      next()
    })
    app.get('/live', live.handler)
    const server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return {
      log,
      statements: () => statements,
      async view(query = '') {
        const sent = request({ port, host: '127.0.0.1', path: `/live${query}` }).end()
        const [answer] = await once(sent, 'response')
        const seen: Seen[] = []
        let isOpen = true
        let text = ''
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part
          const frames = text.split('\n\n')
          text = frames.pop() ?? ''
          for (const frame of frames) {
            const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(frame) ?? []
            if (event !== undefined && data !== undefined) seen.push({ event, data: JSON.parse(data) })
          }
        })
        answer.on('error', () => {})
        answer.on('close', () => {
          isOpen = false
        })
        return {
          status: answer.statusCode as number,
          isOpen: () => isOpen,
          of: <Data>(wanted: string) => seen.filter(({ event }) => event === wanted).map(({ data }) => data as Data),
          close: () => void sent.destroy(),
        }
      },
      async stop() {
        await live.stop()
        server.close()
        server.closeAllConnections()
      },
    }
  }

  // Promise 138
  it('console live: one look serves all viewers, and only those who asked for payments get them', async () => {
    const { id } = await storePayment(db)
    const live = await startLive()
    const second = await live.view('?payments')
    /** Statements of a look, over four looks. */
    const cost = async () => {
      const [looks, statements] = [second.of('overview').length, live.statements()]
      await eventually(() => expect(second.of('overview').length).to.be.at.least(looks + 4))
      return (live.statements() - statements) / (second.of('overview').length - looks)
    }
    const forOne = await cost()
    const first = await live.view()
    const others = await Promise.all(Array.from({ length: 8 }, () => live.view()))
    expect(await cost(), `statements of a look, ${forOne} for one viewer`).to.be.lessThan(forOne * 1.5)
    expect(second.of<PaymentsAnswer>('payments')[0]?.payments.map((payment) => payment.id)).to.deep.equal([id])
    expect(first.of('payments')).to.deep.equal([])
    const overview = first.of<Overview>('overview').at(-1)
    expect(overview?.pending).to.include({ payments: 1, parked: 0 })
    expect(overview?.instances).to.deep.equal([])
    expect(overview?.rows.filter(({ over }) => over !== null).map(({ label }) => label)).to.include('worker')
    for (const viewer of [first, second, ...others]) viewer.close()
    await live.stop()
  })

  // Promise 138
  it('console live: without viewers it sends no statement', async () => {
    const live = await startLive()
    const viewer = await live.view()
    await eventually(() => expect(viewer.of('overview').length).to.be.greaterThan(0))
    viewer.close()
    let last = -1
    await eventually(
      () => {
        const now = live.statements()
        const isStill = now === last
        last = now
        expect(isStill).to.equal(true)
      },
      { intervalMs: 3_000 },
    )
    await live.stop()
  })

  it('console live: viewers are told that PostgreSQL is away, and see the system again when it is back', async () => {
    const live = await startLive()
    const viewer = await live.view()
    await eventually(() => expect(viewer.of('overview').length).to.be.greaterThan(0))
    proxy.cut()
    await eventually(() => expect(viewer.of<{ error: string }>('unavailable').at(-1)?.error).to.be.a('string'))
    proxy.restore()
    const looks = viewer.of('overview').length
    await eventually(() => expect(viewer.of('overview').length).to.be.greaterThan(looks))
    viewer.close()
    await live.stop()
    expect(live.log.linesOf('the console could not look at the system, trying again')).to.have.lengthOf(1)
  })

  it('console live: the end of the login, and the end of the process, end the connection', async () => {
    const live = await startLive(1_500)
    const viewer = await live.view()
    await eventually(() => expect(viewer.isOpen()).to.equal(false))
    await live.stop()
    const other = await startLive()
    const watching = await other.view()
    await eventually(() => expect(watching.of('overview').length).to.be.greaterThan(0))
    await other.stop()
    await eventually(() => expect(watching.isOpen()).to.equal(false))
  })
})
