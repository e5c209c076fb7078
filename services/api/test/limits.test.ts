import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { nullLogger, openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { defaultConnectionsMax } from '../src/connections.ts'
import { type HttpComponent, type HttpOptions, httpComponent } from '../src/http-component.ts'

describe('HTTP server: limits', () => {
  let http: HttpComponent
  let clients: Socket[]
  afterEach(async () => {
    for (const client of clients) client.destroy()
    await http.stop()
  })

  async function serve(limits: Partial<HttpOptions>): Promise<void> {
    clients = []
    http = httpComponent((_req, res) => res.end('served'), {
      host: '127.0.0.1',
      port: 0,
      logger: nullLogger,
      ...limits,
    })
    await http.start(new AbortController().signal)
  }

  function open(): Socket {
    const client = openSocket(http.url)
    clients.push(client)
    return client
  }

  /** The answer to these bytes, or nothing if the server closes the connection. */
  async function exchange(bytes: string): Promise<string> {
    const client = open()
    client.write(bytes)
    return await text(client).catch(() => '')
  }

  // Promise 28
  it('answers headers that do not arrive in time with 408, and closes the connection', async () => {
    await serve({ headersMs: 100 })
    const [head = '', body = ''] = (await exchange('GET / HTTP/1.1\r\nHost:')).split('\r\n\r\n')
    expect(head).to.match(/^HTTP\/1.1 408 /)
    expect(JSON.parse(body)).to.include({ status: 408, code: 'request-timeout' })
  }).timeout(20_000) // A whole request has 30 s.
})

describe('the default limit of connections', () => {
  const limits = (files: string) =>
    `Limit                     Soft Limit           Hard Limit           Units     
Max processes             9                    9                    processes 
Max open files            ${files.padEnd(21)}${files.padEnd(21)}files     `

  it('limits connections to 4,096 by default, and to fewer if the process may open fewer files', () => {
    expect(defaultConnectionsMax(limits('1048576'))).to.equal(4_096)
    expect(defaultConnectionsMax(limits('unlimited'))).to.equal(4_096)
    expect(defaultConnectionsMax('')).to.equal(4_096)
    expect(defaultConnectionsMax(limits('1024'))).to.equal(960)
    expect(defaultConnectionsMax(limits('10'))).to.equal(1)
  })
})
