import { createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { answer, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createHttpProvider } from '../../src/provider/http-provider.ts'
import { attemptCharge } from '../../src/provider/provider.ts'
import { createTimeLimit } from '../../src/time-limit.ts'
import { createFreezer, type Freezer } from '../freezer.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const { payment } = createPayment({
  id: ID,
  merchantId: DEFAULT_MERCHANT_ID,
  reference: 'REF-1 é',
  money: { amountMinor: 999_999_999_999_999n, currency: 'ETB' },
  at: new Date(),
})
const LEASE_MS = 70_000
const APPROVED = { status: 'approved' }

describe('the HTTP provider', () => {
  let server: ScriptedServer

  beforeEach(async () => {
    server = await startScriptedServer()
  })
  afterEach(() => server.close())

  function charge(
    script: Script,
    { attempts = 0, pending = false, deadlineMs = 60_000, leaseEnd = createTimeLimit(LEASE_MS), url = server.url } = {},
  ) {
    server.script = script
    return attemptCharge(createHttpProvider({ url }), payment, { attempts, pending, deadlineMs, leaseEnd })
  }
  const methods = () => server.seen.map(({ method }) => method)

  it('posts the payment once, under its id as key', async () => {
    expect(await charge(answer(200, APPROVED))).to.deep.equal({ outcome: 'approved' })
    expect(server.seen).to.have.length(1)
    const [request] = server.seen
    expect(request).to.include({ method: 'POST', path: '/charges' })
    expect(request?.headers).to.include({ 'idempotency-key': ID, 'content-type': 'application/json' })
    expect(JSON.parse(request?.body ?? '')).to.deep.equal({
      payment_id: ID,
      merchant_id: DEFAULT_MERCHANT_ID,
      reference: 'REF-1 é',
      amount: '9999999999999.99',
      amount_minor: 999_999_999_999_999,
      currency: 'ETB',
    })
  })

  it('takes a URL with a slash at its end', async () => {
    await charge(answer(200), { url: `${server.url}/` })
    expect(server.seen[0]?.path).to.equal('/charges')
  })

  describe('in a process that freezes until its lease has ended', () => {
    let freezer: Freezer
    beforeEach(async () => {
      freezer = await createFreezer(LEASE_MS)
    })
    afterEach(() => freezer.stop())

    const leaseEnd = () => createTimeLimit(LEASE_MS, [freezer.clock])
    /** What is asked now arrives after all that was sent before. */
    async function expectAsked(...before: string[]): Promise<void> {
      await charge(answer(200, APPROVED))
      expect(methods()).to.deep.equal([...before, 'POST'])
    }

    it('charges nothing on a connection that was made just before', async () => {
      const charging = charge(answer(200, APPROVED), { leaseEnd: leaseEnd() })
      freezer.freezeNext()
      expect(await charging).to.include({ outcome: 'unknown' })
      await expectAsked()
    })

    it('charges nothing after an answer, from just before, that there is no charge', async () => {
      const script: Script = (request, response) => {
        freezer.freezeNext()
        answer(404)(request, response)
      }
      expect(await charge(script, { attempts: 1, leaseEnd: leaseEnd() })).to.include({ outcome: 'unknown' })
      await expectAsked('GET')
    })
  })

  describe('after an attempt that came to nothing', () => {
    it('asks for the charge, and takes the one that is there', async () => {
      const declined = { status: 'declined', failure_code: 'expired_card' }
      expect(await charge(answer(200, declined), { attempts: 1 })).to.deep.equal({
        outcome: 'declined',
        failureCode: 'expired_card',
      })
      expect(server.seen.map(({ method, path }) => `${method} ${path}`)).to.deep.equal([`GET /charges/${ID}`])
    })

    it('charges when there is none', async () => {
      const script: Script = (request, response) =>
        request.method === 'GET' ? answer(404)(request, response) : answer(201, APPROVED)(request, response)
      expect(await charge(script, { attempts: 1 })).to.deep.equal({ outcome: 'approved' })
      expect(methods()).to.deep.equal(['GET', 'POST'])
    })

    for (const status of [302, 405, 410, 429, 500, 503]) {
      it(`does not charge when it is answered with ${status}`, async () => {
        expect(await charge(answer(status, { status: 'pending' }), { attempts: 4 })).to.include({ outcome: 'unknown' })
        expect(methods()).to.deep.equal(['GET'])
      })
    }

    for (const [status, refused] of [
      [401, { outcome: 'rejected', reason: 'HTTP 401' }],
      [403, { outcome: 'rejected', reason: 'HTTP 403' }],
      [400, { outcome: 'refused', reason: 'HTTP 400 to the look-up' }],
      [422, { outcome: 'refused', reason: 'HTTP 422 to the look-up' }],
    ] as const) {
      it(`does not charge when it is refused with ${status}`, async () => {
        expect(await charge(answer(status), { attempts: 1 })).to.deep.equal(refused)
        expect(methods()).to.deep.equal(['GET'])
      })
    }
  })

  describe('after an answer that it has not decided yet, and no attempt that counts', () => {
    it('asks for the charge, which may still be undecided', async () => {
      expect(await charge(answer(202), { pending: true })).to.deep.equal({ outcome: 'pending' })
      expect(methods()).to.deep.equal(['GET'])
    })

    it('charges again under the same key when the provider has no charge any more', async () => {
      const script: Script = (request, response) =>
        request.method === 'GET' ? answer(404)(request, response) : answer(201, APPROVED)(request, response)
      expect(await charge(script, { pending: true })).to.deep.equal({ outcome: 'approved' })
      expect(methods()).to.deep.equal(['GET', 'POST'])
      expect(server.seen[1]?.headers['idempotency-key']).to.equal(ID)
    })
  })

  describe('reads', () => {
    for (const status of [200, 201, 202, 299]) {
      it(`${status} and approved as approved`, async () => {
        expect(await charge(answer(status, { ...APPROVED, id: 'ch_1' }))).to.deep.equal({ outcome: 'approved' })
      })
    }

    for (const status of [
      304, 301, 302, 303, 307, 308, 405, 407, 408, 409, 410, 418, 421, 425, 429, 451, 500, 501, 502, 503, 504, 599,
    ]) {
      it(`${status} as unknown, after one request`, async () => {
        const location = { location: `${server.url}/elsewhere` }
        expect(await charge(answer(status, APPROVED, location))).to.include({ outcome: 'unknown' })
        expect(methods()).to.deep.equal(['POST'])
      })
    }

    for (const [what, status, body] of [
      ['nothing', 204, ''],
      ['an empty body', 200, ''],
      ['HTML', 200, '<html>approved</html>'],
      ['half of its JSON', 200, '{"status": "appr'],
      ['bytes that are not UTF-8', 200, Buffer.from([0x22, 0xff, 0x22])],
      ['another status', 200, { status: 'perhaps' }],
      ['a list', 200, [APPROVED]],
      ['null', 200, 'null'],
      ['a failure code that is no code', 200, { status: 'declined', failure_code: 'card <expired>' }],
      ['402 and approved', 402, APPROVED],
      ['402 and pending', 402, { status: 'pending' }],
      ['more than it wants to read', 200, JSON.stringify({ ...APPROVED, padding: 'x'.repeat(65_536) })],
    ] as const) {
      it(`${what} as unknown`, async () => {
        expect(await charge(answer(status, body))).to.include({ outcome: 'unknown' })
      })
    }

    it('Retry-After with what it does not know', async () => {
      const answered = await charge(answer(429, undefined, { 'retry-after': '7' }))
      expect(answered).to.deep.equal({ outcome: 'unknown', reason: 'HTTP 429', retryAfterMs: 7_000 })
    })
  })

  describe('is unknown, in time,', () => {
    for (const [what, script] of [
      ['of a provider that hangs', () => {}],
      ['of one that stops after its headers', (_request, response) => response.writeHead(200).flushHeaders()],
      ['of one that stops in its body', (_request, response) => void response.writeHead(200).write('{"status":')],
      ['of one that drips', (_request, response) => drip(response, 20)],
    ] satisfies [string, Script][]) {
      it(what, async () => {
        const late = { outcome: 'unknown', reason: 'no answer within 300 ms' }
        expect(await charge(script, { deadlineMs: 300 })).to.deep.equal(late)
        expect(methods().length, 'requests').to.be.at.most(1)
      })
    }
  })

  it('reads no further than it has to in a body without end', async () => {
    let written = 0
    const flood: Script = (_request, response) => {
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && written < 1_000_000_000) {
          written += 65_536
          if (!response.write('x'.repeat(65_536))) return void response.once('drain', more)
        }
      }
      more()
    }
    expect(await charge(flood)).to.include({ outcome: 'unknown' })
    expect(written).to.be.below(50_000_000)
  })

  for (const [what, script] of [
    ['before its answer', (_request, response) => response.socket?.resetAndDestroy()],
    ['in its body', (_request, response) => void response.write('{', () => response.socket?.resetAndDestroy())],
    [
      'with a body that is too short',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write(JSON.stringify(APPROVED))
        response.socket?.end()
      },
    ],
  ] satisfies [string, Script][]) {
    it(`is unknown of a provider that hangs up ${what}`, async () => {
      expect(await charge(script)).to.include({ outcome: 'unknown' })
      expect(methods()).to.deep.equal(['POST'])
    })
  }

  it('is unknown, with the reason, of a provider that is not there', async () => {
    expect(await charge(answer(200), { url: 'http://127.0.0.1:1/charges' })).to.have.property('outcome', 'unknown')
    const url = server.url
    await server.close()
    const gone = await charge(answer(200), { url })
    expect(gone)
      .to.have.property('reason')
      .that.matches(/ECONNREFUSED/)
    server = await startScriptedServer()
  })
})

/** One byte of white space after the other, which JSON may begin with. */
function drip(response: Parameters<Script>[1], everyMs: number): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), everyMs)
  response.on('close', () => clearInterval(timer))
}
