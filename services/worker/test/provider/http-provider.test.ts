import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { answer, aPayment, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createHttpProvider } from '../../src/provider/http-provider.ts'
import { attemptCharge } from '../../src/provider/provider.ts'
import { createTimeLimit } from '../../src/time-limit.ts'
import { createFreezer, type Freezer } from '../freezer.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const { payment } = aPayment({
  id: ID,
  reference: 'REF-1 é',
  money: { amountMinor: 999_999_999_999_999n, currency: 'ETB' },
})
const LEASE_MS = 70_000
const APPROVED = { status: 'approved' }

describe('HTTP provider', () => {
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

  // Promise 18
  it('sends one POST with the payment, and with its id as idempotency key', async () => {
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

  it('accepts a URL with a slash at its end', async () => {
    await charge(answer(200), { url: `${server.url}/` })
    expect(server.seen[0]?.path).to.equal('/charges')
  })

  describe('in a process that is frozen until its lease has ended', () => {
    let freezer: Freezer
    beforeEach(async () => {
      freezer = await createFreezer(LEASE_MS)
    })
    afterEach(() => freezer.stop())

    const leaseEnd = () => createTimeLimit(LEASE_MS, [freezer.clock])
    /** Sends one more charge. It arrives after all earlier requests, so those are complete when it is seen. */
    async function expectSent(...before: string[]): Promise<void> {
      await charge(answer(200, APPROVED))
      expect(methods()).to.deep.equal([...before, 'POST'])
    }

    // Promise 15
    it('sends no charge after a freeze between connecting and writing', async () => {
      const charging = charge(answer(200, APPROVED), { leaseEnd: leaseEnd() })
      freezer.freezeNext()
      expect(await charging).to.include({ outcome: 'unknown' })
      await expectSent()
    })

    // Promise 15
    it('sends no charge after a freeze that followed the answer to a look-up', async () => {
      const script: Script = (request, response) => {
        freezer.freezeNext()
        answer(404)(request, response)
      }
      expect(await charge(script, { attempts: 1, leaseEnd: leaseEnd() })).to.include({ outcome: 'unknown' })
      await expectSent('GET')
    })
  })

  describe('after an attempt without an answer', () => {
    // Promise 18
    it('looks the charge up after an attempt without an answer, and takes the result that it finds', async () => {
      const declined = answer(200, { status: 'declined', failure_code: 'expired_card' })
      const result = { outcome: 'declined', failureCode: 'expired_card' }
      expect(await charge(declined, { attempts: 1 })).to.deep.equal(result)
      expect(server.seen.map(({ method, path }) => `${method} ${path}`)).to.deep.equal([`GET /charges/${ID}`])
    })

    it('charges after a look-up that finds no charge', async () => {
      const script: Script = (request, response) =>
        request.method === 'GET' ? answer(404)(request, response) : answer(201, APPROVED)(request, response)
      expect(await charge(script, { attempts: 1 })).to.deep.equal({ outcome: 'approved' })
      expect(methods()).to.deep.equal(['GET', 'POST'])
    })

    for (const status of [302, 405, 410, 429, 500, 503]) {
      it(`sends no charge after a look-up that is answered with ${status}`, async () => {
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
      it(`sends no charge after a look-up that is refused with ${status}`, async () => {
        expect(await charge(answer(status), { attempts: 1 })).to.deep.equal(refused)
        expect(methods()).to.deep.equal(['GET'])
      })
    }
  })

  describe('after a pending answer, with no counted attempts', () => {
    // Promise 18
    it('looks the charge up after a pending answer, and may find it still pending', async () => {
      expect(await charge(answer(202), { pending: true })).to.deep.equal({ outcome: 'pending' })
      expect(methods()).to.deep.equal(['GET'])
    })

    // Promise 18
    it('charges again under the same key when the provider has lost a pending charge', async () => {
      const script: Script = (request, response) =>
        request.method === 'GET' ? answer(404)(request, response) : answer(201, APPROVED)(request, response)
      expect(await charge(script, { pending: true })).to.deep.equal({ outcome: 'approved' })
      expect(methods()).to.deep.equal(['GET', 'POST'])
      expect(server.seen[1]?.headers['idempotency-key']).to.equal(ID)
    })
  })

  describe('with an HTTP answer', () => {
    for (const status of [200, 201, 202, 299]) {
      it(`reads ${status} with the status approved as approved`, async () => {
        expect(await charge(answer(status, { ...APPROVED, id: 'ch_1' }))).to.deep.equal({ outcome: 'approved' })
      })
    }

    for (const status of [
      304, 301, 302, 303, 307, 308, 405, 407, 408, 409, 410, 418, 421, 425, 429, 451, 500, 501, 502, 503, 504, 599,
    ]) {
      // Promise 17
      it(`reads ${status} as unknown, after one request`, async () => {
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
      ['an invalid failure code', 200, { status: 'declined', failure_code: 'card <expired>' }],
      ['402 and approved', 402, APPROVED],
      ['402 and pending', 402, { status: 'pending' }],
      ['a body over the limit', 200, JSON.stringify({ ...APPROVED, padding: 'x'.repeat(65_536) })],
    ] as const) {
      it(`reads ${what} as unknown`, async () => {
        expect(await charge(answer(status, body))).to.include({ outcome: 'unknown' })
      })
    }

    it('reads Retry-After of an unknown answer', async () => {
      const answered = await charge(answer(429, undefined, { 'retry-after': '7' }))
      expect(answered).to.deep.equal({ outcome: 'unknown', reason: 'HTTP 429', retryAfterMs: 7_000 })
    })
  })

  describe('at the deadline', () => {
    for (const [what, script] of [
      ['sends nothing', () => {}],
      ['stops after its headers', (_request, response) => response.writeHead(200).flushHeaders()],
      ['stops in its body', (_request, response) => void response.writeHead(200).write('{"status":')],
      ['sends one byte at a time', (_request, response) => drip(response, 20)],
    ] satisfies [string, Script][]) {
      it(`answers unknown at the deadline when the provider ${what}`, async () => {
        const late = { outcome: 'unknown', reason: 'no answer within 300 ms' }
        expect(await charge(script, { deadlineMs: 300 })).to.deep.equal(late)
        expect(methods().length, 'requests').to.be.at.most(1)
      })
    }
  })

  it('stops reading a body without end', async () => {
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
    it(`answers unknown when the provider closes the connection ${what}`, async () => {
      expect(await charge(script)).to.include({ outcome: 'unknown' })
      expect(methods()).to.deep.equal(['POST'])
    })
  }

  it('answers unknown, with the reason, when the provider cannot be reached', async () => {
    expect(await charge(answer(200), { url: 'http://127.0.0.1:1/charges' })).to.have.property('outcome', 'unknown')
    const url = server.url
    await server.close()
    const gone = (await charge(answer(200), { url })) as { reason?: string }
    expect(gone.reason).to.match(/ECONNREFUSED/)
    server = await startScriptedServer()
  })
})

/** Sends white space, with which JSON may begin, one byte at a time. */
function drip(response: Parameters<Script>[1], everyMs: number): void {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), everyMs)
  response.on('close', () => clearInterval(timer))
}
