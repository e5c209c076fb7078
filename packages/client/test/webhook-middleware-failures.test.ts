import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { eventually, openSocket } from '@cashflow/testing'
import { newSecret, webhookHeaders } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import express, { type ErrorRequestHandler } from 'express'
import { type WebhookMiddlewareOptions, type WebhookRequest, webhookMiddleware } from '../src/index.ts'

const BODY = JSON.stringify({ type: 'webhook.check', timestamp: '2026-12-01T00:00:00Z', data: {} })
const OWN = newSecret()
const signed = (secrets = [OWN]) => ({ ...webhookHeaders({ id: 'evt_1', body: BODY, secrets, now: new Date() }) })

// Its types are those of Express 5.
const express4: typeof express = createRequire(import.meta.url)('express4')

let server: Server
let url: string
async function listen(listener: RequestListener) {
  server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`
}
function close() {
  server.closeAllConnections()
  server.close()
}
const post = (headers: Record<string, string> = signed()) => fetch(url, { method: 'POST', body: BODY, headers })
const forged = () => post(signed([newSecret()]))

/** A promise that is rejected and not handled ends a process by default, and mocha's too. */
function watchRejections() {
  const rejections: unknown[] = []
  const keep = (reason: unknown) => void rejections.push(reason)
  let others: NodeJS.UnhandledRejectionListener[] = []
  before(() => {
    others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', keep)
  })
  after(() => {
    process.removeAllListeners('unhandledRejection')
    for (const listener of others) process.on('unhandledRejection', listener)
  })
  beforeEach(() => void rejections.splice(0))
  return rejections
}

for (const [version, make] of [
  ['Express 5', express],
  ['Express 4', express4],
] as const)
  describe(`webhookMiddleware with ${version}: failures`, () => {
    const rejections = watchRejections()
    let errors: string[]
    let refused: string[]

    /** Starts an application that answers a request without a signature with 503 as soon as `limit` resolves. */
    async function start(options: Partial<WebhookMiddlewareOptions> = {}, limit = new Promise<void>(() => {})) {
      ;[errors, refused] = [[], []]
      const app = make()
      app.use((req, res, next) => {
        if (!req.headers['webhook-signature']) limit.then(() => res.status(503).end('slow'))
        next()
      })
      const onRefused = ({ code }: { code: string }) => void refused.push(code)
      app.post('/hooks', webhookMiddleware({ secrets: OWN, onRefused, ...options }), (_req, res) => {
        res.sendStatus(204)
      })
      const onError: ErrorRequestHandler = (error, _req, res, _next) => {
        errors.push(error.message)
        res.sendStatus(500)
      }
      app.use(onError)
      await listen(app)
    }
    afterEach(close)

    // Promise 133
    it(`${version}: webhookMiddleware adds nothing to a response that has begun, such as that of a time limit`, async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      await start({}, promise)
      const socket = openSocket(url)
      socket.write(`POST /hooks HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nwebhook-id: a\r\n\r\n{`)
      await once(server, 'request')
      resolve()
      const [answer] = await once(socket, 'data')
      expect(String(answer)).to.match(/^HTTP\/1\.1 503 /)
      socket.write('}')
      await eventually(async () => expect(refused).to.deep.equal(['missing-header']))
      expect([(await post()).status, errors, rejections]).to.deep.equal([204, [], []])
      socket.destroy()
    })

    // Promise 133
    it(`${version}: webhookMiddleware passes on what onRefused throws or rejects with, and lives on`, async () => {
      for (const onRefused of [
        () => {
          throw new Error('the log is away')
        },
        () => Promise.reject(new Error('the log is away')),
      ]) {
        await start({ onRefused })
        expect([(await forged()).status, errors]).to.deep.equal([500, ['the log is away']])
        expect([(await post()).status, rejections]).to.deep.equal([204, []])
        close()
      }
    })
  })

describe('webhookMiddleware without Express: failures', () => {
  const rejections = watchRejections()
  let printed: unknown[]
  const own = console.error
  beforeEach(() => {
    printed = []
    console.error = (...values) => void printed.push(...values)
  })
  afterEach(() => {
    console.error = own
    close()
  })

  type Next = (error: unknown, request: WebhookRequest, response: Parameters<RequestListener>[1]) => unknown
  async function start(next: Next, options: Partial<WebhookMiddlewareOptions> = {}) {
    const middleware = webhookMiddleware({ secrets: OWN, ...options })
    await listen((request, response) => middleware(request, response, (error) => next(error, request, response)))
  }

  // Promise 133
  it('webhookMiddleware answers 500 and prints the error if next throws or rejects under node:http, and lives on', async () => {
    const fails: Next[] = [
      () => {
        throw new Error('database is locked')
      },
      () => Promise.reject(new Error('database is locked')),
    ]
    for (const fail of fails) {
      let isLocked = true
      await start((error, request, response) => (isLocked ? fail(error, request, response) : response.end()))
      const answer = await post()
      expect([answer.status, await answer.json()]).to.deep.equal([
        500,
        { type: 'about:blank', title: 'Internal Server Error', status: 500 },
      ])
      expect(String(printed.pop())).to.equal('Error: database is locked')
      isLocked = false
      expect([(await post()).status, printed, rejections]).to.deep.equal([200, [], []])
      close()
    }
  })

  // Promise 133
  it('webhookMiddleware calls next once, and ends no process if next throws the error that it gets', async () => {
    let calls = 0
    const rethrow: Next = (error, _request, response) => {
      calls++
      if (error) throw error
      response.writeHead(204).end()
      throw new Error('after the answer')
    }
    await start(rethrow, { onRefused: () => Promise.reject(new Error('the log is away')) })
    expect((await forged()).status).to.equal(500)
    expect((await post()).status).to.equal(204)
    await eventually(async () => expect(printed.map(String)).to.have.length(2))
    expect(printed.map(String)).to.deep.equal(['Error: the log is away', 'Error: after the answer'])
    expect([calls, rejections]).to.deep.equal([2, []])
  })
})
