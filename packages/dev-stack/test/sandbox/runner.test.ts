import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { createLogPrinter } from '../../src/log-printer.ts'
import { findObstacle } from '../../src/sandbox/obstacle.ts'
import { SandboxRefusal } from '../../src/sandbox/refusal.ts'
import { createRunner } from '../../src/sandbox/runner.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const PLAN = { rate: 50, seconds: 1, currency: 'USD', simulate: null, minMinor: 150n, maxMinor: 150n } as const

describe('runner of a sandbox', () => {
  const folder = temporaryFolder()
  const answers = join(folder.path, 'answers.jsonl')
  const { log } = createLogPrinter({ write: () => {}, level: 'error', labelWidth: 5 })
  const servers: Server[] = []
  beforeEach(() => writeFileSync(answers, ''))
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections()
  })
  after(() => folder.remove())

  /** Starts an api that answers as the listener does. */
  async function startApi(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const recorded = (): Record<string, unknown>[] =>
    readFileSync(answers, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))

  it('runner repeats a payment with its idempotency key until it is answered, and records it once', async () => {
    const seen = new Map<string, object[]>()
    const api = await startApi(async (request, response) => {
      const key = String(request.headers['idempotency-key'])
      const bodies = [...(seen.get(key) ?? []), (await json(request)) as object]
      seen.set(key, bodies)
      if (bodies.length === 1) return void response.destroy()
      if (bodies.length === 2)
        return void response.writeHead(503).end(JSON.stringify({ code: 'away', retryable: true }))
      response.writeHead(201).end(JSON.stringify({ id: `id of ${key}` }))
    })
    const runner = createRunner([api], answers, log)
    const { id } = runner.start({ ...PLAN, rate: 10, simulate: 'success' })
    await eventually(() => expect(runner.state()).to.equal(null))
    expect(recorded()).to.have.length(10)
    for (const { at, ...answer } of recorded()) {
      const reference = String(answer.reference)
      expect(reference).to.match(new RegExp(`^sandbox-${id}-\\d+$`))
      const facts = { reference, idempotency_key: reference, simulate: 'success', status: 201, error: null }
      expect(answer).to.deep.equal({ ...facts, id: `id of "${reference}"` })
      const body = { amount: '1.50', currency: 'USD', reference, metadata: { simulate: 'success' } }
      expect(seen.get(`"${reference}"`)).to.deep.equal([body, body, body])
    }
  })

  it('runner records a payment that the api refuses, and does not repeat it', async () => {
    let requests = 0
    const api = await startApi((_request, response) => {
      requests += 1
      response.writeHead(422).end(JSON.stringify({ code: 'simulate-unknown', retryable: false }))
    })
    const runner = createRunner([api], answers, log)
    runner.start({ ...PLAN, rate: 5 })
    await eventually(() => expect(runner.state()).to.equal(null))
    expect(recorded().map(({ status, id, error }) => [status, id, error])).to.deep.equal(
      Array(5).fill([422, null, 'simulate-unknown']),
    )
    expect(requests).to.equal(5)
  })

  it('runner has at most 100 payments without an answer, and makes one run at a time', async () => {
    let requests = 0
    const api = await startApi(() => {
      requests += 1
    })
    const runner = createRunner([api], answers, log)
    runner.start({ ...PLAN, rate: 200, seconds: 600 })
    await eventually(() => expect(runner.state()).to.include({ sent: 100, in_flight: 100 }))
    await eventually(() => expect(requests).to.equal(100))
    expect(() => runner.start(PLAN)).to.throw(SandboxRefusal, 'A run is in progress')
    await runner.close()
    expect(recorded().map(({ status, id }) => [status, id])).to.deep.equal(Array(100).fill([null, null]))
    expect(requests).to.equal(100)
  })

  it('runner sends no payment after it was stopped, and waits for the answers to those it has sent', async () => {
    const waiting: (() => void)[] = []
    const api = await startApi((_request, response) => {
      waiting.push(() => response.writeHead(201).end(JSON.stringify({ id: 'x' })))
    })
    const runner = createRunner([api], answers, log)
    runner.start({ ...PLAN, rate: 5, seconds: 600 })
    await eventually(() => expect(waiting).to.have.length.above(1))
    runner.stop()
    await eventually(() => expect(runner.state()?.in_flight).to.equal(waiting.length))
    for (const answer of waiting) answer()
    await eventually(() => expect(runner.state()).to.equal(null))
    expect(recorded()).to.have.length(waiting.length)
  })

  it('runner’s obstacle is an api that needs a key or speaks HTTPS', async () => {
    const answering = (status: number) => startApi((_request, response) => response.writeHead(status).end('{}'))
    expect(await findObstacle(await answering(200))).to.equal(null)
    expect(await findObstacle(await answering(503))).to.equal(null)
    expect(await findObstacle(await answering(401))).to.contain('needs a key')
    expect(await findObstacle('https://127.0.0.1:1')).to.contain('HTTPS')
  })
})
