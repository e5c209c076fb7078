import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCertificates } from '@cashflow/runtime'
import {
  type Authority,
  answer,
  aPayment,
  createAuthority,
  type IssueOptions,
  nullLogger,
  type ScriptedServer,
  startScriptedServer,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createHttpProvider } from '../../src/provider/http-provider.ts'
import { attemptCharge, type Provider } from '../../src/provider/provider.ts'
import { createTimeLimit } from '../../src/time-limit.ts'

const { payment } = aPayment()
const APPROVED = { outcome: 'approved' }

describe('HTTP provider over TLS', () => {
  let folder: string
  let authority: Authority
  let foreign: Authority
  let server: ScriptedServer | undefined

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-provider-'))
    authority = await createAuthority(join(folder, 'own'))
    foreign = await createAuthority(join(folder, 'foreign'))
  })
  after(() => rm(folder, { recursive: true, force: true }))
  afterEach(() => server?.close())

  /** Starts a provider that approves each charge, and has no earlier one. */
  async function serve(options: IssueOptions = {}, by = authority): Promise<ScriptedServer> {
    const { cert, key } = await by.issue('server', options)
    const started = await startScriptedServer({ cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') })
    started.script = (request, response) =>
      (request.method === 'GET' ? answer(404) : answer(200, { status: 'approved' }))(request, response)
    server = started
    return started
  }
  function provider(url: string, ca: string | undefined = authority.ca): Provider {
    return createHttpProvider({
      url,
      certificates: createCertificates({ ca }, { what: 'the provider', logger: nullLogger }),
    })
  }
  const charge = (asked: Provider, attempts = 0) => {
    const leaseEnd = createTimeLimit(70_000)
    return attemptCharge(asked, payment, { attempts, pending: false, deadlineMs: 60_000, leaseEnd })
  }

  // Promise 111
  it('HTTP provider over TLS: charges at a server that PROVIDER_TLS_CA signed', async () => {
    const { url, seen } = await serve()
    expect(await charge(provider(url), 1)).to.deep.equal(APPROVED)
    expect(seen.map(({ method }) => method)).to.deep.equal(['GET', 'POST'])
  })

  const FAULTS: [string, () => Promise<ScriptedServer>, RegExp][] = [
    ['another authority', () => serve({}, foreign), /^its certificate is not signed by a trusted authority/],
    [
      'another name',
      () => serve({ names: ['other.test'] }),
      /^its certificate is for another name: IP: 127\.0\.0\.1 is not in the cert's list/,
    ],
    [
      'the past',
      () => serve({ notAfter: new Date(Date.now() - 60_000) }),
      /^its certificate, or that of its authority, has expired$/,
    ],
  ]
  for (const [what, start, reason] of FAULTS) {
    // Promises 17, 111
    it(`HTTP provider over TLS: sends not one byte of a charge to a server with a certificate of ${what}`, async () => {
      const { url, seen, secured } = await start()
      for (const attempts of [0, 1]) {
        const answered = await charge(provider(url), attempts)
        expect(answered.outcome).to.equal('unknown')
        expect((answered as { reason: string }).reason).to.match(reason)
      }
      expect([seen, secured()]).to.deep.equal([[], 0])
    })
  }

  // Promise 111
  it('HTTP provider over TLS: trusts PROVIDER_TLS_CA instead of the authorities of Node, also for kept connections', async () => {
    const { url, seen } = await serve()
    expect(await charge(provider(url))).to.deep.equal(APPROVED)
    // The connection of the first charge is idle now, and this provider does not trust its certificate.
    expect((await charge(provider(url, foreign.ca))).outcome).to.equal('unknown')
    expect((await charge(createHttpProvider({ url }))).outcome).to.equal('unknown')
    expect(seen).to.have.length(1)
  })

  // Promise 111
  it('HTTP provider over TLS: uses a replaced PROVIDER_TLS_CA without a restart', async () => {
    const ca = join(folder, 'ca.pem')
    await copyFile(foreign.ca, ca)
    const { url, seen } = await serve()
    const asked = provider(url, ca)
    expect((await charge(asked)).outcome).to.equal('unknown')
    await copyFile(authority.ca, ca)
    expect(await charge(asked)).to.deep.equal(APPROVED)
    expect(seen).to.have.length(1)
  })

  it('HTTP provider over TLS: verifies with NODE_TLS_REJECT_UNAUTHORIZED=0 too', async () => {
    const { url, seen } = await serve()
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      expect((await charge(createHttpProvider({ url }))).outcome).to.equal('unknown')
      expect(seen).to.deep.equal([])
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
  })
})
