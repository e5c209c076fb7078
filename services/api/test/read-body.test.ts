import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { readBody } from '../src/json-body.ts'
import { Problem } from '../src/problem.ts'

describe('A body that is too large', () => {
  it('is refused once, and the rest of it read off unseen', async () => {
    const body = new PassThrough()
    const reading = readBody(Object.assign(body, { headers: {} }) as never).catch((error: unknown) => error)
    body.write(Buffer.alloc(20_000))
    expect(await reading).to.have.property('code', 'payload-too-large')
    expect(body.listenerCount('data')).to.equal(0)
    body.end(Buffer.alloc(1_000_000))
    await once(body, 'end')
  })
})

describe('A body that does not arrive', () => {
  it('is given up after its deadline, with a connection that ends', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const client = openSocket(`http://127.0.0.1:${port}`)
    client.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"a"')
    const [req] = await once(server, 'request')
    const error = await readBody(req, 50).catch((reason: unknown) => reason)
    if (!(error instanceof Problem)) expect.fail(String(error))
    expect(error).to.have.property('code', 'request-timeout')
    expect(error.headers).to.deep.equal({ Connection: 'close' })
    client.destroy()
    server.close()
    await once(server, 'close')
  })
})
