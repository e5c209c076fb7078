import { once } from 'node:events'
import type { Socket } from 'node:net'
import { eventually } from '@cashflow/async'
import { openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { AUTH, createKey } from './auth/merchant-keys.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

describe('body of a refused request', () => {
  let api: ApiUnderTest
  let limited: ApiUnderTest
  let readerKey: string
  before(async () => {
    api = await startApi({ auth: AUTH })
    limited = await startApi({ rateLimit: 1 })
    limited.proxy.cut() // It accepts a request in 10 s, because it learns of no more.
    readerKey = (await createKey(api, { scopes: ['payments:read'] })).text
  })
  after(() => Promise.all([api.stop(), limited.stop()]))

  const REFUSALS: [status: number, request: () => { of?: ApiUnderTest; line?: string; headers?: string }][] = [
    [401, () => ({})],
    [403, () => ({ headers: `Authorization: Bearer ${readerKey}\r\n` })],
    [404, () => ({ line: 'POST /nowhere', headers: `Authorization: Bearer ${readerKey}\r\n` })],
    [405, () => ({ line: 'POST /' })],
    [429, () => ({ of: limited })],
  ]

  /** Opens a connection whose requests are all refused with the status. */
  async function open(status: number, request: () => { of?: ApiUnderTest; line?: string; headers?: string }) {
    const { of = api, line = 'POST /payments', headers = '' } = request()
    if (of === limited) await of.agent.get('/nowhere')
    const socket: Socket = openSocket(of.http.url)
    await once(socket, 'connect')
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes
    })
    return {
      socket,
      answers: () => text.split(`HTTP/1.1 ${status} `).length - 1,
      head: (length: number) => `${line} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${length}\r\n\r\n`,
    }
  }

  for (const [status, request] of REFUSALS) {
    it(`body of a refused request is not waited for before its ${status}`, async () => {
      const { socket, answers, head } = await open(status, request)
      socket.write(head(16_000))
      await eventually(() => expect(answers()).to.equal(1))
      socket.destroy()
    })

    it(`body of a refused request is discarded after its ${status} if it is small, and the connection goes on`, async () => {
      const { socket, answers, head } = await open(status, request)
      for (let count = 1; count <= 3; count += 1) {
        socket.write(head(60_000) + 'x'.repeat(60_000))
        await eventually(() => expect(answers()).to.equal(count))
      }
      expect(socket.closed).to.equal(false)
      socket.destroy()
    })

    it(`body of a refused request closes the connection after its ${status} if it is larger than any body may be`, async () => {
      const { socket, answers, head } = await open(status, request)
      socket.write(head(1_000_000_000))
      await eventually(() => expect(answers()).to.equal(1))
      const closed = new Promise((resolve) => socket.once('close', resolve))
      const send = () => void (socket.writable && socket.write('x'.repeat(16_384), send))
      send()
      await closed
      expect(socket.bytesWritten).to.be.lessThan(10_000_000)
    })
  }
})
