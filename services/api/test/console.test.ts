import { text } from 'node:stream/consumers'
import { defined } from '@cashflow/async'
import type { Component } from '@cashflow/runtime'
import { createTestDatabase, openSocket, query, recordingLogger, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { readNetworks } from '../src/client-address.ts'
import { type ConsoleOptions, consoleParts } from '../src/console.ts'
import { createTestCertificates } from './test-certificates.ts'

const TOKEN = 't'.repeat(32)

describe('console of the api', () => {
  const tls = createTestCertificates()
  let database: TestDatabase
  const parts: Component[] = []
  before(async () => {
    database = await createTestDatabase()
  })
  afterEach(async () => {
    for (const part of parts.splice(0).toReversed()) await part.stop()
  })
  after(() => database.drop())

  /** Starts it on a free port of this machine, with a name besides those of loopback. */
  async function start(options: Partial<ConsoleOptions> = {}) {
    const log = recordingLogger()
    const settings = {
      host: '127.0.0.1',
      port: 0,
      hosts: ['console.example.com'],
      token: TOKEN,
      peppers: undefined,
      sandboxSocket: undefined,
    }
    const started = consoleParts({
      ...{ console: settings, databaseUrl: database.url, sandbox: true, standbyRequired: false },
      ...{ trustProxy: [], certificates: undefined, logger: log.logger, ...options },
    })
    parts.push(...started)
    for (const part of started) await part.start(new AbortController().signal)
    return { url: new URL(String(log.linesOf('console is listening')[0]?.fields.url)), log }
  }

  /** Logs in by the name. Returns the status line and the headers. */
  async function login({ href }: URL, { token = TOKEN, headers = [] as readonly string[] } = {}) {
    const socket = openSocket(href)
    const body = JSON.stringify({ token })
    const lines = [
      ...['POST /api/login HTTP/1.1', 'Host: console.example.com', 'Sec-Fetch-Site: same-origin', 'Connection: close'],
      ...[...headers, 'Content-Type: application/json', `Content-Length: ${body.length}`, '', body],
    ]
    socket.write(lines.join('\r\n'))
    return await text(socket)
  }

  it('console of the api: has sessions with PostgreSQL of its own, 3 at most', async () => {
    const { url } = await start()
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(new URL('/api/me', url))))
    expect(answers.map(({ status }) => status)).to.deep.equal(Array(20).fill(401))
    const sessions = `select application_name as name from pg_stat_activity
      where datname = current_database() and application_name like 'cashflow-api-console (schema %'`
    expect(await query(database.url, sessions)).to.have.length.within(1, 3)
  })

  it('console of the api: uses the certificate of the api, and then logs in by any known name', async () => {
    const { url } = await start({ certificates: tls.certificates })
    expect(url.protocol).to.equal('https:')
    const answer = await login(url)
    expect(answer).to.match(/^HTTP\/1\.1 200 /)
    expect(answer).to.match(/\r\nSet-Cookie: __Host-cashflow_443=/)
  })

  it('console of the api: believes X-Forwarded-Proto of trusted proxies only', async () => {
    const headers = ['X-Forwarded-Proto: https']
    for (const [network, status] of [
      ['10.0.0.0/8', 403],
      ['127.0.0.0/8', 200],
    ] as const) {
      const { url } = await start({ trustProxy: defined(readNetworks(network), 'networks') })
      expect(await login(url, { headers }), network).to.match(new RegExp(`^HTTP/1\\.1 ${status} `))
    }
    const { url } = await start()
    expect(await login(url, { headers })).to.match(/^HTTP\/1\.1 403 /)
  })

  it('console of the api: counts wrong tokens by the clients of a trusted proxy, IPv6 by their network', async () => {
    const { url } = await start({ trustProxy: defined(readNetworks('127.0.0.0/8'), 'networks') })
    const wrongFrom = (client: string) =>
      login(url, { token: 'wrong', headers: ['X-Forwarded-Proto: https', `X-Forwarded-For: ${client}`] })
    for (let index = 0; index < 10; index++) expect(await wrongFrom(`2001:db8::${index}`)).to.match(/^HTTP\/1\.1 401 /)
    expect(await wrongFrom('2001:db8::a')).to.match(/^HTTP\/1\.1 429 /)
    expect(await wrongFrom('2001:db8:0:1::a')).to.match(/^HTTP\/1\.1 401 /)
  })
})
