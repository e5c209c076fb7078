import { answer, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { integrate } from '../src/integrators.ts'
import type { Merchant } from '../src/merchants.ts'
import type { PaymentRequest } from '../src/payment-request.ts'
import { createRandom } from '../src/random.ts'

const PENDING = { id: 'p1', amount: 1, amount_minor: 100, currency: 'USD', reference: 'ref', status: 'PENDING' }
const CANCELED = { ...PENDING, status: 'FAILED', failure_code: 'canceled' }
const LIST = { data: [PENDING], has_more: false, next_cursor: null }
const HISTORY = { data: [{ id: 'evt_p1_1', payment: PENDING }] }
const problem = (status: number, retryable: boolean) =>
  // Longer than a call takes, so that the client does not repeat the attempt by itself.
  answer(status, { status, code: 'some-problem', retryable, detail: '' }, { 'retry-after': '60' })

type Kind = 'create' | 'cancel' | 'list' | 'get' | 'events'

function kindOf(line: string): Kind {
  if (line.endsWith('/cancel')) return 'cancel'
  if (line.endsWith('/events')) return 'events'
  if (line.includes('?')) return 'list'
  return line.startsWith('POST') ? 'create' : 'get'
}

describe('integrators', () => {
  let servers: ScriptedServer[]
  let merchant: Merchant
  let request: PaymentRequest
  /** Seeds whose integrator waits, reads, cancels and asks for events. */
  const seeds = Array.from({ length: 20 }, (_, seed) => seed)

  beforeEach(async () => {
    servers = [await startScriptedServer(), await startScriptedServer()]
    merchant = { id: 'one', key: { id: 'old', secret: 'old', uses: [] } }
    request = newRequest()
  })
  afterEach(() => Promise.all(servers.map((server) => server.close())))

  const newRequest = (): PaymentRequest => ({
    ...{ merchantId: 'one', reference: 'ref', amountMinor: 100, currency: 'USD', idempotencyKey: 'key:ref' },
    ...{ answers: [], views: [], foreignViews: [], cancels: [], histories: [] },
  })
  const seen = () => servers.flatMap((server) => server.seen)
  const sent = (method: string, path: RegExp) => seen().filter((one) => one.method === method && path.test(one.path))

  /** Answers well, except where `scripts` has another answer to this kind of request. */
  function script(scripts: Partial<Record<Kind, Script>> = {}): void {
    const well: Record<Kind, Script> = {
      create: answer(201, PENDING),
      cancel: answer(200, CANCELED),
      list: answer(200, LIST),
      get: ({ headers }, response) =>
        answer(200, headers.prefer ? { ...PENDING, status: 'SUCCESS' } : PENDING)({} as never, response),
      events: answer(200, HISTORY),
    }
    for (const server of servers)
      server.script = (got, response) => {
        const kind = kindOf(`${got.method} ${got.path}`)
        const act = scripts[kind] ?? well[kind]
        act(got, response)
      }
  }

  async function run(seed = 1, signal = new AbortController().signal): Promise<void> {
    const apiUrls = servers.map(({ url }) => new URL(url).origin)
    await integrate(request, { apiUrls, merchants: [merchant], random: createRandom(seed), signal })
  }

  it('integrators turn to another API after an error that may be retried, with the same idempotency key', async () => {
    let refused: string | undefined
    script({
      create: ({ headers }, response) => {
        refused ??= headers.host
        const act = refused === headers.host ? problem(503, true) : answer(201, PENDING)
        act({ method: '', path: '', headers, body: '' }, response)
      },
    })
    await run()
    const posts = sent('POST', /payments$/)
    expect(posts.map(({ headers }) => headers['idempotency-key'])).to.eql(['"key:ref"', '"key:ref"'])
    expect(new Set(posts.map(({ headers }) => headers.host))).to.have.length(2)
    expect(request.answers.map(({ status }) => status)).to.eql([503, 201])
    expect(request.answers.at(-1)).to.include({ paymentId: 'p1', isReplay: 'unknown' })
  })

  it('integrators list a payment through another API right after its 201, and record a list without it', async () => {
    script({ list: answer(200, { ...LIST, data: [] }) })
    await run()
    const [post] = sent('POST', /payments$/)
    const [list] = sent('GET', /\?reference=ref$/)
    expect(list?.headers.host).not.to.equal(post?.headers.host)
    expect(request.views[0]).to.include({ status: 404, isFinal: false })
  })

  it('integrators go on with the new key of their merchant, and record each use of a key', async () => {
    const old = merchant.key
    script({
      create: (got, response) => {
        const isOld = got.headers.authorization === 'Bearer old'
        merchant.key = { id: 'new', secret: 'new', uses: [] }
        const act = isOld ? problem(401, false) : answer(201, PENDING)
        act(got, response)
      },
    })
    await run()
    expect(old.uses.map(({ status }) => status)).to.eql([401])
    expect(request.answers.map(({ status }) => status)).to.eql([401, 201])
    expect(merchant.key.uses.length).to.be.above(1)
  })

  it('integrators give up a payment that the API refuses', async () => {
    script({ create: problem(422, false) })
    await run()
    expect(request.answers.map(({ status }) => status)).to.eql([422])
    expect(seen()).to.have.length(1)
  })

  it('integrators record what each call shows, and what a cancel was answered with', async () => {
    const all = { cancels: new Set(), histories: new Set(), views: new Set() }
    for (const cancel of [answer(200, CANCELED), problem(409, false), problem(503, true)]) {
      script({ cancel })
      for (const seed of seeds) {
        request = newRequest()
        await run(seed)
        all.cancels.add(request.cancels.map(({ status }) => status).join())
        all.histories.add(request.histories.map(({ ids }) => ids.join()).join())
        for (const { payment } of request.views) all.views.add(payment?.failure_code ?? payment?.status)
      }
    }
    // A cancel without a result is sent again through the other API.
    expect([...all.cancels]).to.have.members(['', '200', '409', '503,503'])
    expect([...all.histories]).to.have.members(['', 'evt_p1_1'])
    expect([...all.views]).to.have.members(['PENDING', 'SUCCESS', 'canceled'])
  }).timeout(60_000)

  it('integrators begin no call after the run has ended', async () => {
    const ended = new AbortController()
    script({
      create: (got, response) => {
        ended.abort()
        answer(201, PENDING)(got, response)
      },
    })
    await run(1, ended.signal)
    expect(seen()).to.have.length(1)
    expect(request.answers.map(({ status }) => status)).to.eql([201])
  })
})
