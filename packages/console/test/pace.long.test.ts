import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import express from 'express'
import { createPace } from '../src/server/pace.ts'

describe('pace of reads of the console', () => {
  async function start(now: () => number) {
    const started: string[] = []
    const app = express()
    app.use(createPace(now), (req, res) => {
      started.push(req.method)
      res.json({})
    })
    const server = createServer(app).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    return {
      started,
      ask: async (method = 'GET') => (await fetch(url, { method })).status,
      stop: () => server.close(),
    }
  }

  // Promise 138
  it('console pace: ten reads start at once, the next ones wait for their turns, and one that waits too long is refused', async () => {
    let ms = 1_000
    const { ask, started, stop } = await start(() => ms)
    const many = await Promise.all(Array.from({ length: 61 }, () => ask()))
    expect(many.filter((status) => status === 200)).to.have.lengthOf(60)
    expect(many.filter((status) => status === 503)).to.have.lengthOf(1)
    expect(await ask('POST'), 'an act does not wait').to.equal(200)
    ms += 10_000
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: 10 }, () => ask()))
    expect(performance.now() - startedAt, 'after a rest').to.be.lessThan(1_000)
    expect(started).to.have.lengthOf(71)
    stop()
  })
})
