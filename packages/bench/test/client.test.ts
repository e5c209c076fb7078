import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { type Client, createClient, newPayments } from '../src/client.ts'

describe('client of bench', () => {
  let server: Server
  let client: Client
  let answers: number[]
  let bodies: string[]
  beforeEach(async () => {
    bodies = []
    server = createServer(async (request, response) => {
      bodies.push((await request.toArray()).join(''))
      const status = answers.shift() ?? 500
      response.writeHead(status).end(`${status}`)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    client = createClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 1)
  })
  afterEach(async () => {
    await client[Symbol.asyncDispose]()
    server.close()
  })

  it('repeats a request after a 503, and accepts a 409 that names the stored payment', async () => {
    answers = [503, 409]
    expect(await client.send(newPayments()())).to.equal('409')
    expect(bodies).to.have.length(2)
    expect(bodies[0]).to.equal(bodies[1])
  })

  for (const status of [409, 500]) {
    it(`fails on a first answer with ${status}`, async () => {
      answers = [status]
      const error = await client.send(newPayments()()).catch((thrown) => thrown)
      expect(error).to.be.an('error').with.property('message').that.includes(`answered with ${status}, not 201`)
    })
  }
})
