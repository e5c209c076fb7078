import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createTestDatabase, query, type ServiceProcess, startService, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { runCashflow } from './run-cashflow.ts'

interface Faults {
  /** Changes the headers of a request before the API gets it. */
  request?: (headers: IncomingHttpHeaders) => void
  /** Changes an answer before its client gets it. Returns its text. */
  answer?: (response: ServerResponse, text: string) => string
}

/** Starts an API that is broken: a proxy in front of ours that changes requests and answers. */
async function startBroken(url: string, { request = () => {}, answer = (_, text) => text }: Faults) {
  const server = createServer({ maxHeaderSize: 65_536 }, async (incoming, response) => {
    const { method = 'GET', url: path = '/' } = incoming
    const body = await buffer(incoming)
    request(incoming.headers)
    const { host, connection, 'content-length': length, 'transfer-encoding': encoding, ...headers } = incoming.headers
    const found = await fetch(new URL(path, url), {
      ...{ method, headers: headers as Record<string, string>, ...(body.length > 0 && { body }) },
    })
    response.statusCode = found.status
    for (const [name, value] of found.headers)
      if (!['connection', 'content-length', 'keep-alive', 'transfer-encoding'].includes(name))
        response.setHeader(name, value)
    response.end(answer(response, await found.text()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('cashflow conformance', function () {
  this.timeout(180_000)
  let database: TestDatabase
  let api: ServiceProcess
  let url: string
  let key: string

  before(async () => {
    database = await createTestDatabase()
    const env = { DATABASE_URL: database.url, KEY_PEPPER: 'p'.repeat(32) }
    api = startService('api', { ...env, AUTH: 'api-key', ALLOW_UNAUTHENTICATED: 'no', RATE_LIMIT: '200', PORT: '0' })
    url = String((await api.logged('listening')).url)
    const created = await runCashflow(['keys', 'create', '--merchant', DEFAULT_MERCHANT_ID, '--json'], env)
    key = JSON.parse(created.stdout).secret
  })
  after(async () => {
    await api.stop()
    await database.drop()
  })

  async function failuresAt(address: string): Promise<string[]> {
    const { code, stdout, stderr } = await runCashflow(['conformance', address, '--json'], { CASHFLOW_KEY: key })
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const failed = results.filter(({ result }) => result === 'FAILED')
    expect([code, stderr]).to.deep.equal([1, `${failed.length} of ${results.length} checks failed.\n`])
    for (const { detail } of failed) expect(detail).to.match(/ is .*, and should be |^duplicate-reference: /)
    return failed.map(({ rule }) => rule)
  }

  it('conformance: finds our API without a fault, and prints a table', async () => {
    const { code, stdout, stderr } = await runCashflow(['conformance', url, '--key', key], {})
    expect([code, stderr], stdout).to.deep.equal([0, ''])
    const [head, ...rows] = stdout.trim().split('\n')
    expect(head).to.match(/^area +rule +result +detail$/)
    expect(rows.length).to.be.at.least(35)
    for (const row of rows) expect(row).to.match(/^(idempotency|errors|limits) .* passed +-$/)
  })

  it('conformance: skips what needs a key where an API asks for none', async () => {
    const open = startService('api', { DATABASE_URL: database.url, PORT: '0' })
    const address = String((await open.logged('listening')).url)
    const { code, stdout } = await runCashflow(['conformance', address], {})
    expect(code).to.equal(0)
    expect(stdout.match(/ skipped +it needs --key$/gm)).to.have.length(2)
    expect(await open.stop()).to.equal(0)
  })

  it('conformance: finds an API that ignores idempotency keys', async () => {
    const broken = await startBroken(url, { request: (headers) => void delete headers['idempotency-key'] })
    const failures = await failuresAt(broken.url)
    await broken.stop()
    expect(failures.filter((rule) => !/key|repet|repeated/.test(rule))).to.deep.equal([
      '20 equal requests at the same time get the same 201',
    ])
    expect(failures).to.include.members([
      'a repeated request gets the same 201, byte for byte',
      'a key with another payment gets 422, which names the payment of the key',
      'a payment is in the list of its key as soon as it has its 201',
      'a request with two idempotency keys gets 400 bad-request',
    ])
  })

  it('conformance: finds an API that parses amounts as doubles', async () => {
    const answer: Faults['answer'] = (response, text) =>
      response.statusCode < 300 ? JSON.stringify(JSON.parse(text)) : text
    const broken = await startBroken(url, { answer })
    const failures = await failuresAt(broken.url)
    await broken.stop()
    expect(failures).to.deep.equal(['an amount is shown with each of its digits'])
  })

  it('conformance: finds an API whose errors have no code', async () => {
    const answer: Faults['answer'] = (response, text) => (response.statusCode === 404 ? '{"error":"not found"}' : text)
    const broken = await startBroken(url, { answer })
    const failures = await failuresAt(broken.url)
    await broken.stop()
    expect(failures).to.deep.equal([
      'an unknown payment gets 404 not-found',
      'a request for events of an unknown payment gets 404 not-found',
      'an unknown route gets 404 not-found',
    ])
  })

  it('conformance: creates no payment with a live or a wrong key, and none where there is no sandbox', async () => {
    const count = async () => (await query(database.url, 'select count(*) from payments'))[0]
    const before = await count()
    const live = await startBroken(url, {
      answer: (response, text) => {
        response.statusCode = 404
        return text
      },
    })
    const away = await startBroken(url, {})
    await away.stop()
    for (const [address, ownKey, why, exitCode] of [
      [url, 'cf_live_x', 'The key is of a live deployment.', 1],
      [url, 'cf_test_x', 'The API does not accept the key.', 1],
      [live.url, key, 'It is no sandbox of Cashflow', 1],
      [away.url, key, `${away.url} does not answer: `, 3],
    ] as const) {
      const { code, stdout, stderr } = await runCashflow(['conformance', address], { CASHFLOW_KEY: ownKey })
      expect([code, stdout]).to.deep.equal([exitCode, ''])
      expect(stderr).to.include(why).and.to.not.include(ownKey)
    }
    await live.stop()
    expect(await count()).to.deep.equal(before)
  })
})
