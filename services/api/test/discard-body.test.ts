import { once } from 'node:events'
import type { Socket } from 'node:net'
import { eventually } from '@cashflow/async'
import { openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { AUTH } from './merchant-keys.ts'

const head = (length: number) => `POST /payments HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`

describe('body of a request without a key', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  async function open(): Promise<{ socket: Socket; answers: () => number }> {
    const socket = openSocket(api.http.url)
    await once(socket, 'connect')
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes
    })
    return { socket, answers: () => text.split('HTTP/1.1 401 Unauthorized').length - 1 }
  }

  it('body of a request without a key is not waited for', async () => {
    const { socket, answers } = await open()
    socket.write(head(16_000))
    await eventually(() => expect(answers()).to.equal(1))
    socket.destroy()
  })

  it('body of a request without a key is discarded if it is small, and the connection goes on', async () => {
    const { socket, answers } = await open()
    for (let count = 1; count <= 3; count += 1) {
      socket.write(head(60_000) + 'x'.repeat(60_000))
      await eventually(() => expect(answers()).to.equal(count))
    }
    expect(socket.closed).to.equal(false)
    socket.destroy()
  })

  it('body of a request without a key closes the connection if it is larger than any body may be', async () => {
    const { socket, answers } = await open()
    socket.write(head(1_000_000_000))
    await eventually(() => expect(answers()).to.equal(1))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const send = () => void (socket.writable && socket.write('x'.repeat(16_384), send))
    send()
    await closed
    expect(socket.bytesWritten).to.be.lessThan(10_000_000)
  })
})
