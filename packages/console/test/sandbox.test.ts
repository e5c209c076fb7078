import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { SandboxState } from '@cashflow/dev-stack'
import { expect } from 'chai'
import type { SandboxAnswer } from '../src/answers.ts'
import { type ConsoleUnderTest, startConsole } from './start-console.ts'

/** Compiles only while the stack sends what the page expects. */
const asAnswer = (state: SandboxState): SandboxAnswer => state
const STATE = asAnswer({
  obstacle: null,
  run: null,
  counter: {
    ...{ accepted: 3, settled: 2, waiting: 1, lost: 0, doubled: 0, refused: 0, unanswered: 0, unreadable: 0 },
    ...{ since: '2026-01-01T00:00:00.000Z', as_of: '2026-01-01T00:00:01.000Z', stale: null },
  },
  faults: [{ kind: 'kill-worker', started_at: '2026-01-01T00:00:00.000Z', ends_at: null }],
  kinds: ['kill-worker'],
  simulations: ['success'],
  charges_known: true,
})

describe('sandbox panel of the console', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cashflow-sandbox-'))
  const socket = join(folder, 'sandbox.sock')
  const asked: string[] = []
  let stack: Server
  let operators: ConsoleUnderTest
  let Cookie: string

  before(async () => {
    stack = createServer(async (request, response) => {
      asked.push(`${request.method} ${request.url} ${await text(request)}`.trim())
      response.writeHead(request.url === '/faults' ? 409 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(request.url === '/faults' ? { error: 'No worker runs.' } : STATE))
    }).listen(socket)
    await once(stack, 'listening')
    operators = await startConsole({}, undefined, socket)
    Cookie = await operators.cookieOf()
  })
  after(async () => {
    stack.close()
    await operators.stop()
    rmSync(folder, { recursive: true })
  })

  it('console forwards the sandbox’s requests to the stack that started it, and its answers to the page', async () => {
    const { ask } = operators
    expect((await ask('/api/me', { headers: { Cookie } })).body).to.include({ sandbox_panel: true })
    const calls = [
      ['GET', '/api/sandbox', undefined],
      ['POST', '/api/sandbox/payments', { rate: 5 }],
      ['DELETE', '/api/sandbox/payments', undefined],
      ['DELETE', '/api/sandbox/counter', undefined],
    ] as const
    for (const [method, path, body] of calls) {
      const answer = await ask(path, { method, body, headers: { Cookie } })
      expect([answer.status, answer.body], path).to.deep.equal([200, STATE])
    }
    const refused = await operators.post('/api/sandbox/faults', { kind: 'kill-worker' }, { Cookie })
    expect([refused.status, refused.body]).to.deep.equal([409, { error: 'No worker runs.' }])
    expect(asked).to.deep.equal([
      'GET /',
      'POST /payments {"rate":5}',
      'DELETE /payments',
      'DELETE /counter',
      'POST /faults {"kind":"kill-worker"}',
    ])
  })

  it('console forwards nothing to the sandbox without a login', async () => {
    asked.length = 0
    expect((await operators.ask('/api/sandbox')).status).to.equal(401)
    expect((await operators.post('/api/sandbox/faults', { kind: 'kill-worker' })).status).to.equal(401)
    expect(asked).to.deep.equal([])
  })

  it('console says that the sandbox does not answer where its stack is gone', async () => {
    const gone = await startConsole({}, undefined, join(folder, 'gone.sock'))
    const answer = await gone.ask('/api/sandbox', { headers: { Cookie: await gone.cookieOf() } })
    await gone.stop()
    expect(answer.status).to.equal(503)
    expect(answer.body?.error).to.match(/^The sandbox does not answer/)
  })

  it('console of another api has no sandbox routes', async () => {
    const other = await startConsole()
    const answer = await other.ask('/api/sandbox', { headers: { Cookie: await other.cookieOf() } })
    await other.stop()
    expect(answer.status).to.equal(404)
  })
})
