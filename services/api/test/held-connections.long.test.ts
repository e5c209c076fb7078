import { once } from 'node:events'
import type { Socket } from 'node:net'
import {
  createTestDatabase,
  eventually,
  openSocket,
  type ServiceProcess,
  startService,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith } from './requests.ts'

const LOGGED = 'connections closed: the limit is reached'
const OPENED_AT_ONCE = 256

describe('api with all connections held by one client', () => {
  let database: TestDatabase
  let api: ServiceProcess
  let url: string
  let connectionsMax: number
  let sockets: Socket[]
  beforeEach(async () => {
    sockets = []
    database = await createTestDatabase()
    api = startService('api', { DATABASE_URL: database.url, PORT: '0' })
    const listening = await api.logged('listening')
    url = String(listening.url)
    connectionsMax = Number(listening.connections_max)
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    api.kill('SIGKILL')
    await api.exited
    await eventually(() => database.drop()) // Its sessions end later than the process.
  })

  /** Opens connections and sends `bytes` on each, until the API logs that it closes some. */
  async function openUntilClosed(bytes: string): Promise<void> {
    while (!api.logs.some(({ message }) => message === LOGGED)) {
      expect(sockets.length).to.be.below(2 * connectionsMax)
      const opened = Array.from({ length: OPENED_AT_ONCE }, () => openSocket(url))
      sockets.push(...opened)
      await Promise.all(
        opened.map(async (socket) => {
          socket.resume()
          await once(socket, 'connect').catch(() => {})
          socket.write(bytes)
        }),
      )
    }
  }

  /** Sends payments, each on a new connection. */
  async function expectAnswers(): Promise<void> {
    const headers = { 'Content-Type': 'application/json', Connection: 'close' }
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`${url}/payments`, { method: 'POST', headers, body: bodyWith() })
      expect(response.status).to.equal(201)
      await response.json()
    }
    expect((await fetch(`${url}/health`, { headers })).status).to.equal(200)
  }

  const closed = (kind: string) =>
    api.logs.filter(({ message }) => message === LOGGED).reduce((sum, line) => sum + Number(line[kind]), 0)

  // Promise 28
  it('answers other clients while the client idles after one request on each connection', async () => {
    await openUntilClosed('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await expectAnswers()
    expect(closed('closed_idle')).to.be.above(0)
    expect(closed('refused')).to.equal(0)
  })

  // Promise 28
  it('answers other clients while the client sends a request on each connection, one byte a second', async () => {
    const drip = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x')
    }, 1_000)
    try {
      await openUntilClosed('POST /payments HTTP/1.1\r\nHost: x\r\nX: ')
      await expectAnswers()
    } finally {
      clearInterval(drip)
    }
    expect(closed('closed_slow')).to.be.above(0)
    expect(closed('refused')).to.equal(0)
  })

  // Promise 28
  it('answers other clients while the client sends nothing', async () => {
    await openUntilClosed('')
    await expectAnswers()
    expect(closed('closed_slow')).to.be.above(0)
    expect(closed('refused')).to.equal(0)
  })
})
