import { connect } from 'node:net'
import { eventually } from '@cashflow/async'
import { Gauge, Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { type Component, type LogFields, withAdmin } from '../../src/index.ts'

describe('admin server', () => {
  const lines: { message: string; fields: LogFields }[] = []
  const log = (message: string, fields: LogFields = {}) => void lines.push({ message, fields })
  const logger = { debug: log, info: log, warn: log, error: log }
  const signal = new AbortController().signal
  let registry: Registry
  let components: Component[]

  beforeEach(async () => {
    lines.length = 0
    registry = new Registry()
    const worker: Component = { name: 'worker', async start() {}, async stop() {} }
    const servers = () => ({ postgresql: 'away' })
    components = withAdmin([worker], { host: '127.0.0.1', port: 0, service: 'test', registry, logger, servers })
    await components[0]?.start(signal)
  })
  afterEach(async () => {
    for (const component of components.toReversed()) await component.stop()
  })

  const url = () => String(lines.find(({ message }) => message === 'admin server listening')?.fields.url)
  const get = (path: string, method = 'GET') => fetch(`${url()}${path}`, { method })

  it('admin server: /readyz is 503 until all components have started, and from the beginning of the stop', async () => {
    const expectReady = async (status: number, body: object) => {
      const response = await get('/readyz')
      expect(response.status).to.equal(status)
      expect(await response.json()).to.deep.equal(body)
    }
    await expectReady(503, { status: 'starting', postgresql: 'away' })
    for (const component of components.slice(1)) await component.start(signal)
    await expectReady(200, { status: 'ready', postgresql: 'away' })
    await components.at(-1)?.stop()
    await expectReady(503, { status: 'draining', postgresql: 'away' })
    expect((await get('/livez')).status).to.equal(200)
  })

  it('admin server: /metrics has the metrics of the process, and HEAD the same headers without a body', async () => {
    const response = await get('/metrics')
    expect(response.headers.get('content-type')).to.equal(registry.contentType)
    const text = await response.text()
    expect(text).to.match(/^cashflow_build_info\{role="test",version="\d+\.\d+\.\d+",node="[\d.]+"\} 1$/m)
    const head = await get('/metrics', 'HEAD')
    expect([head.status, await head.text()]).to.deep.equal([200, ''])
  })

  it('admin server: another path is 404, another method 405', async () => {
    expect((await get('/metrics/more')).status).to.equal(404)
    const response = await get('/livez', 'POST')
    expect([response.status, response.headers.get('allow')]).to.deep.equal([405, 'GET, HEAD'])
  })

  it('admin server: metrics that cannot be read are 500 and one log line, and probes still answer', async () => {
    let isBroken = true
    new Gauge({
      name: 'cashflow_test',
      help: 'A metric that may throw.',
      registers: [registry],
      collect() {
        if (isBroken) throw new Error('broken metric')
      },
    })
    for (let scrape = 0; scrape < 3; scrape++) expect((await get('/metrics')).status).to.equal(500)
    expect((await get('/livez')).status).to.equal(200)
    expect(lines.filter(({ message }) => message === 'metrics could not be read')).to.have.length(1)
    isBroken = false
    expect((await get('/metrics')).status).to.equal(200)
    expect(lines.at(-1)?.message).to.equal('metrics can be read again')
  })

  it('admin server: scrapers that hang keep no probe out, and lose their connections', async () => {
    const { hostname, port } = new URL(url())
    let closed = 0
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      socket.on('close', () => {
        closed += 1
      })
      socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\n')
      return socket
    })
    await eventually(() => expect(closed).to.be.at.least(24), { timeoutMs: 1_500 })
    for (let probe = 0; probe < 20; probe++) expect((await get('/livez')).status).to.equal(200)
    for (const socket of sockets) socket.destroy()
  })
})
