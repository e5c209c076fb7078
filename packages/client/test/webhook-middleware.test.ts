import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { eventually, openSocket } from '@cashflow/testing'
import { newSecret, webhookHeaders } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { type WebhookEvent, type WebhookMiddlewareOptions, webhookMiddleware } from '../src/index.ts'

const BODY = JSON.stringify({
  type: 'payment.succeeded',
  timestamp: '2026-11-30T00:00:00.000Z',
  data: { id: '01a200e6-61da-7305-a53d-01a16fbc86b7', amount: 7, amount_minor: 700, sequence: 2 },
})
const OWN = newSecret()
const signed = (body: Buffer | string = BODY, secrets = [OWN]) => ({
  ...webhookHeaders({ id: 'evt_1', body, secrets, now: new Date() }),
})

// Its types are those of Express 5.
const express4: typeof express = createRequire(import.meta.url)('express4')

for (const [version, make] of [
  ['Express 5', express],
  ['Express 4', express4],
] as const)
  describe(`webhookMiddleware with ${version}`, () => {
    let server: Server
    let url: string
    let events: (WebhookEvent | undefined)[]
    let errors: string[]
    let refused: string[]
    let ended: number

    /** Starts an application with the middleware behind `before`. */
    async function start(options: Partial<WebhookMiddlewareOptions> = {}, ...before: RequestHandler[]) {
      await stop()
      const app = make()
      app.use((_req, res, next) => {
        res.once('close', () => ended++)
        next()
      })
      const onRefused = ({ code }: { code: string }) => void refused.push(code)
      app.post('/hooks', ...before, webhookMiddleware({ secrets: OWN, onRefused, ...options }), (req, res) => {
        events.push(req.webhook)
        res.sendStatus(204)
      })
      const onError: ErrorRequestHandler = (error, _req, res, _next) => {
        errors.push(error.message)
        res.sendStatus(error.status ?? 500)
      }
      app.use(onError)
      ;({ server, url } = await listen(app))
    }
    async function stop() {
      ;[events, errors, refused, ended] = [[], [], [], 0]
      server?.closeAllConnections()
      if (server?.listening) await new Promise((resolve) => server.close(resolve))
    }
    const post = (
      body: string | Uint8Array<ArrayBuffer> | ReadableStream = BODY,
      headers: Record<string, string> = signed(),
      how: RequestInit & { duplex?: 'half' } = {},
    ) => fetch(url, { method: 'POST', body, headers, ...how })

    beforeEach(() => start())
    after(stop)

    it(`${version}: webhookMiddleware puts the event of a verified request in req.webhook`, async () => {
      expect((await post()).status).to.equal(204)
      expect(events[0]).to.deep.include({ id: 'evt_1', type: 'payment.succeeded' })
      expect(events[0]?.data).to.include({ amount: '7.00', sequence: 2 })
      expect(refused).to.deep.equal([])
    })

    it(`${version}: webhookMiddleware takes a body in chunks, and one that express.raw() has read`, async () => {
      const chunks = new ReadableStream({
        async start(controller) {
          for (const character of Buffer.from(BODY)) controller.enqueue(Uint8Array.of(character))
          controller.close()
        },
      })
      expect((await post(chunks, signed(), { duplex: 'half' })).status).to.equal(204)
      await start({}, express.raw({ type: 'application/json' }))
      expect((await post()).status).to.equal(204)
      expect((await post(`${BODY} `)).status).to.equal(400)
      expect(events).to.have.length(1)
    })

    it(`${version}: webhookMiddleware answers all that is forged with the same 400`, async () => {
      const answers = [
        await post(BODY, signed(BODY, [newSecret()])),
        await post(`${BODY} `),
        await post(BODY, {}),
        await post('', signed()),
        await post('{', signed('{')),
      ]
      for (const answer of answers) {
        expect(answer.status).to.equal(400)
        expect(answer.headers.get('content-type')).to.equal('application/problem+json')
        expect(await answer.json()).to.deep.equal({ type: 'about:blank', title: 'Bad Request', status: 400 })
      }
      expect(refused).to.deep.equal(['forged', 'forged', 'missing-header', 'forged', 'bad-body'])
      expect(events).to.deep.equal([])
    })

    it(`${version}: webhookMiddleware answers a large body with 413, which a sender of all of it sees`, async () => {
      await start({ bodyBytesMax: BODY.length })
      const large = Buffer.alloc(8 * 1024 * 1024, ' ')
      const answer = await post(large, signed(large))
      expect([answer.status, await answer.json()]).to.deep.equal([
        413,
        { type: 'about:blank', title: 'Content Too Large', status: 413 },
      ])
      expect((await post()).status).to.equal(204)
      await start({ bodyBytesMax: BODY.length }, express.raw({ type: 'application/json' }))
      expect((await post(`${BODY} `)).status).to.equal(413)
      expect(refused).to.deep.equal(['too-large'])
    })

    it(`${version}: webhookMiddleware survives a request that ends early, and calls nothing for it`, async () => {
      const { port } = server.address() as AddressInfo
      const socket = openSocket(`http://127.0.0.1:${port}`)
      const headers = Object.entries(signed()).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.write(
        `POST /hooks HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n${headers.join('')}\r\n${BODY.slice(0, 9)}`,
      )
      await once(server, 'request')
      socket.destroy()
      await eventually(async () => expect(ended).to.equal(1))
      expect((await post()).status).to.equal(204)
      expect([events.length, errors, refused]).to.deep.equal([1, [], []])
    })

    it(`${version}: webhookMiddleware refuses a compressed body, and verifies the one that express.raw() decompressed`, async () => {
      const compressed = { ...signed(), 'content-encoding': 'gzip' }
      expect((await post(gzipSync(BODY), compressed)).status).to.equal(400)
      expect(refused).to.deep.equal(['bad-body'])
      await start({}, express.raw({ type: 'application/json' }))
      expect((await post(gzipSync(BODY), compressed)).status).to.equal(204)
    })

    it(`${version}: webhookMiddleware passes on an error for a body that was parsed before, which names the remedy`, async () => {
      await start({}, express.json())
      expect((await post()).status).to.equal(500)
      expect(errors).to.deep.equal([
        'The body was parsed before. Put webhookMiddleware before express.json(), or express.raw() before it.',
      ])
      expect(events).to.deep.equal([])
      // express.json() reads no body of another type.
      expect((await post(BODY, { ...signed(), 'content-type': 'text/plain' })).status).to.equal(204)
    })

    it(`${version}: webhookMiddleware reads a header that comes twice as one`, async () => {
      const { 'webhook-signature': right = '', ...others } = signed()
      const twice = new Headers(others)
      for (const signature of [`v1a,${'A'.repeat(86)}==`, right]) twice.append('webhook-signature', signature)
      expect((await fetch(url, { method: 'POST', body: BODY, headers: twice })).status).to.equal(204)
      const ids = new Headers(signed())
      ids.append('webhook-id', 'evt_2')
      expect((await fetch(url, { method: 'POST', body: BODY, headers: ids })).status).to.equal(400)
    })

    it(`${version}: webhookMiddleware asks a function for the secrets of each request, and passes on its errors`, async () => {
      let secrets: () => string[] | Promise<string[]> = () => [newSecret()]
      await start({ secrets: () => secrets() })
      expect((await post()).status).to.equal(400)
      secrets = async () => [newSecret(), OWN]
      expect((await post()).status).to.equal(204)
      secrets = () => ['hunter2']
      expect((await post()).status).to.equal(500)
      secrets = () => Promise.reject(new Error('the store is away'))
      expect((await post()).status).to.equal(500)
      expect(errors[0]).to.include('whsec_').and.not.include('hunter2')
      expect(errors[1]).to.equal('the store is away')
    })
  })

describe('webhookMiddleware without Express', () => {
  it('webhookMiddleware works with a server of node:http', async () => {
    const middleware = webhookMiddleware({ secrets: OWN })
    const { server, url } = await listen(
      (req: Parameters<typeof middleware>[0] & Parameters<RequestListener>[0], res) =>
        middleware(req, res, (error) => res.writeHead(error ? 500 : 202).end(req.webhook?.id)),
    )
    const answer = await fetch(url, { method: 'POST', body: BODY, headers: signed() })
    expect([answer.status, await answer.text()]).to.deep.equal([202, 'evt_1'])
    expect((await fetch(url, { method: 'POST', body: `${BODY} `, headers: signed() })).status).to.equal(400)
    server.closeAllConnections()
    server.close()
  })

  it('webhookMiddleware throws a TypeError for a wrong secret when the program starts', () => {
    for (const secrets of [undefined, '', [], [OWN, 'hunter2']])
      expect(() => webhookMiddleware({ secrets: secrets as string })).to.throw(TypeError)
  })
})

async function listen(listener: RequestListener) {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks` }
}
