import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createAuthority, eventually, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { cleanUp, createRig, onCleanUp } from './rig.ts'

/** Servers without a broker behind them, because RabbitMQ stops at none of these points. */
describe('dialling over TLS', () => {
  let dir: string
  let ca: Buffer
  let pair: { cert: Buffer; key: Buffer }
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-tls-'))
    const authority = await createAuthority(dir)
    const { cert, key } = await authority.issue('server')
    ca = readFileSync(authority.ca)
    pair = { cert: readFileSync(cert), key: readFileSync(key) }
  })
  after(() => rm(dir, { recursive: true, force: true }))
  afterEach(cleanUp)

  /** Listens until the end of the test, and returns the URL and the number of open connections. */
  async function listen(server: Server) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onCleanUp(async () => void server.close())
    const count = () =>
      new Promise<number>((resolve, reject) =>
        server.getConnections((error, n) => (error ? reject(error) : resolve(n))),
      )
    return { url: `amqps://127.0.0.1:${(server.address() as AddressInfo).port}/`, count }
  }
  const quiet = () => createServer((socket) => socket.on('error', () => {}).resume())
  const quietOverTls = () => createTlsServer(pair, (socket) => socket.on('error', () => {}).resume())

  for (const [what, create] of [
    ['the handshake of TLS', quiet],
    ['the handshake of AMQP', quietOverTls],
  ] as const) {
    it(`closes its socket at once when it is stopped in ${what}`, async () => {
      const { url, count } = await listen(create())
      const rig = createRig([url], { tls: () => ({ ca }), connectTimeoutMs: 60_000 })
      await eventually(async () => expect(await count()).to.equal(1))
      const stopwatch = startStopwatch()
      await rig.stop()
      await eventually(async () => expect(await count()).to.equal(0))
      expect(stopwatch.stop()).to.be.below(20_000)
    })

    it(`dials again when ${what} takes longer than connectTimeoutMs`, async () => {
      const { url, count } = await listen(create())
      let dials = 0
      const tls = () => {
        dials += 1
        return { ca }
      }
      const rig = createRig([url], { tls, connectTimeoutMs: 50, random: () => 0 })
      await eventually(() => expect(dials).to.be.at.least(3))
      expect(await count()).to.be.at.most(1)
      expect(rig.logger.lines[0]?.fields.reason).to.equal('connecting took longer than 50 ms')
    })
  }

  it('explains the alert of a server with TLS 1.2 that misses a client certificate', async () => {
    const options = { ...pair, ca, requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' } as const
    const server = createTlsServer(options).on('tlsClientError', () => {})
    const { url } = await listen(server)
    const { logger } = createRig([url], { tls: () => ({ ca }) })
    await eventually(() => expect(logger.lines).to.have.length(1))
    expect(logger.lines[0]?.level).to.equal('error')
    expect(logger.lines[0]?.fields.reason).to.match(/^it refuses our client certificate, or misses one \(/)
  })

  it('uses TLS 1.2 at least, and verifies with NODE_TLS_REJECT_UNAUTHORIZED=0 too', async () => {
    const { url } = await listen(
      createTlsServer({ ...pair, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' }),
    )
    const old = createRig([url], { tls: () => ({ ca, ciphers: 'ALL@SECLEVEL=0' }) as object })
    await eventually(() => expect(old.logger.lines).to.have.length(1))
    expect(old.logger.lines[0]?.fields.reason).to.match(/^TLS failed: .*protocol/)
    const modern = await listen(quietOverTls())
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      const { logger } = createRig([modern.url])
      await eventually(() => expect(logger.lines).to.have.length(1))
      expect(logger.lines[0]?.fields.reason).to.match(/trusted authority/)
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
  })

  it('asks for no certificates without TLS', async () => {
    let asked = 0
    const { url } = await listen(quiet())
    const tls = () => {
      asked += 1
      return {}
    }
    const rig = createRig([url.replace('amqps:', 'amqp:')], { tls, connectTimeoutMs: 50, random: () => 0 })
    await eventually(() => expect(rig.logger.lines).to.have.length(1))
    expect(asked).to.equal(0)
  })
})
