import { once } from 'node:events'
import { createServer, get, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { expect } from 'chai'
import express from 'express'
import { assetRoutes } from '../src/server/assets.ts'
import { bundlePage, PAGE_FILES } from '../src/server/page-files.ts'

const GZIPPED_MAX = 80_000

describe('assets of the console', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  async function serve(routes = assetRoutes()): Promise<number> {
    const server = createServer(express().use(routes)).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  interface Answer {
    readonly status: number | undefined
    readonly headers: IncomingHttpHeaders
    readonly body: Buffer
  }

  // Not fetch: it decompresses on its own.
  async function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<Answer> {
    const [response] = await once(get({ host: '127.0.0.1', port, path, headers, agent: false }), 'response')
    const chunks: Buffer[] = await response.toArray()
    return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }
  }

  it('console assets: serves the page for each path of a view, and not for paths of its API or of files', async () => {
    const port = await serve()
    for (const path of [
      '/',
      '/payments',
      '/payments/0197f3c0-0000-7000-8000-000000000000',
      '/apia',
      '/audit?actor=a.b',
    ]) {
      const { status, headers, body } = await ask(port, path)
      expect(status, path).to.equal(200)
      expect(headers['content-type'], path).to.equal('text/html; charset=utf-8')
      expect(body.toString(), path).to.contain('src="/app.js"')
    }
    for (const path of ['/api', '/api/me', '/app.js.map', '/favicon.ico', '/../package.json'])
      expect((await ask(port, path)).status, path).to.equal(404)
  })

  it('console assets: are below 80 kB gzipped, and no script or style stands in the page', async () => {
    const port = await serve()
    let size = 0
    for (const name of PAGE_FILES) {
      const path = name === 'index.html' ? '/' : `/${name}`
      const plain = await ask(port, path)
      const gzipped = await ask(port, path, { 'Accept-Encoding': 'gzip, br' })
      expect(plain.headers['content-encoding'], name).to.equal(undefined)
      expect(gzipped.headers['content-encoding'], name).to.equal('gzip')
      expect(gunzipSync(gzipped.body).equals(plain.body), name).to.equal(true)
      size += gzipped.body.length
    }
    expect(size).to.be.below(GZIPPED_MAX)
    const page = (await ask(port, '/')).body.toString()
    expect(page).not.to.match(/<style|style=|<script(?![^>]*src=)|\son\w+=/)
  })

  it('console assets: a browser that has a file is answered 304, and asks again at each load', async () => {
    const port = await serve()
    const { headers } = await ask(port, '/app.js')
    expect(headers['cache-control']).to.equal('no-cache')
    expect(headers.vary).to.equal('Accept-Encoding')
    const again = await ask(port, '/app.js', { 'If-None-Match': String(headers.etag), 'Accept-Encoding': 'gzip' })
    expect([again.status, again.body.length]).to.deep.equal([304, 0])
  })

  it('console assets: a page that cannot be bundled is a clear 500, and is bundled at the next request', async () => {
    let attempts = 0
    const port = await serve(
      assetRoutes(() => {
        attempts += 1
        return attempts === 1 ? Promise.reject(new Error('no esbuild here')) : bundlePage()
      }),
    )
    const failed = await ask(port, '/app.js')
    expect(failed.status).to.equal(500)
    expect(failed.body.toString()).to.equal("The console's page could not be bundled: no esbuild here\n")
    expect((await ask(port, '/app.js')).status).to.equal(200)
    expect((await ask(port, '/app.css')).status).to.equal(200)
    expect(attempts).to.equal(2)
  })
})
