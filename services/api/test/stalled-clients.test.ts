import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { eventually, nullLogger, openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { type HttpComponent, httpComponent } from '../src/http-component.ts'
import { createTestCertificates } from './test-certificates.ts'

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

for (const scheme of ['http', 'https'] as const)
  describe(`${scheme.toUpperCase()} server`, () => stalledClientTests(scheme))

function stalledClientTests(scheme: 'http' | 'https'): void {
  const tls = createTestCertificates()
  let http: HttpComponent
  let client: Socket
  afterEach(async () => {
    client.destroy()
    await http.stop()
  })

  async function serve(app: RequestListener, options: { unreadMs?: number } = {}): Promise<void> {
    const certificates = scheme === 'https' ? tls.certificates : undefined
    http = httpComponent(app, { host: '127.0.0.1', port: 0, certificates, logger: nullLogger, ...options })
    await http.start(new AbortController().signal)
    client = openSocket(http.url).pause()
  }

  // Promise 28
  it('disconnects a client that does not read its answers when no more bytes move', async () => {
    let ended: boolean | undefined
    const answer: RequestListener = (_req, res) => {
      res.once('close', () => {
        ended = res.writableFinished
      })
      res.end(Buffer.alloc(64e6)) // More than the buffers of both sockets hold.
    }
    await serve(answer, { unreadMs: 300 })
    client.write(GET)
    await eventually(() => expect(ended).to.equal(false))
  })

  // Promise 28
  it('disconnects a client that does not read its answers when it goes on sending requests', async () => {
    let [begun, cut] = [0, false]
    await serve((req) => {
      begun += 1
      if (begun > 1) return
      req.socket.once('close', () => {
        cut = true
      })
    })
    client.write(GET.repeat(1_000))
    await eventually(() => expect(cut).to.equal(true))
    expect(begun).to.equal(32)
  })
}
