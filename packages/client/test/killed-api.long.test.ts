import { defined } from '@cashflow/async'
import { type Pipeline, startPipeline, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { type CashflowClient, CashflowError, createClient } from '../src/index.ts'

/** The calls of the shop, in their order. */
const CALLS = ['create', 'create another', 'cancel', 'get', 'waitFor', 'list', 'events of one', 'events'] as const
type Call = (typeof CALLS)[number]

describe('@cashflow/client: a shop while the API is killed', function () {
  this.timeout(60_000)
  let pipeline: Pipeline
  let proxy: TcpProxy
  let client: CashflowClient
  let onRetry: () => void = () => {}
  /** What the shop's database has. */
  const orders = new Map<string, 'open' | 'created' | 'paid' | 'unpaid'>()
  let cursor: string | undefined

  before(async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, { PROVIDER_SUCCESS_RATE: '1' })
    proxy = await startTcpProxy(String((await defined(pipeline.processes.api[0], 'api').logged('listening')).url))
    client = createClient({ url: proxy.url, onRetry: () => onRetry() })
  })
  after(async () => {
    await proxy.stop()
    await pipeline.stop()
  })

  async function killApi(): Promise<void> {
    defined(pipeline.processes.api.at(-1), 'api').kill('SIGKILL')
    const { url } = await (await pipeline.start('api')).logged('listening')
    proxy.redirect(String(url))
  }

  async function create(reference: string): Promise<string> {
    orders.set(reference, orders.get(reference) ?? 'open')
    const payment = { amount: '100.50', currency: 'USD', reference } as const
    const { id } = await client.payments.create(payment, { idempotencyKey: reference })
    if (orders.get(reference) === 'open') orders.set(reference, 'created')
    return id
  }

  /** Uses each call once, as docs/integrating.md advises. Calls `next` before each of them. */
  async function shop(name: string, next: (call: Call) => void): Promise<void> {
    const [kept, given] = [`${name}-kept`, `${name}-given-up`]
    next('create')
    const id = await create(kept)
    next('create another')
    const other = await create(given)
    next('cancel')
    const canceled = await client.payments.cancel(other).then(
      ({ status }) => status,
      (error) => (error instanceof CashflowError ? error.code : Promise.reject(error)),
    )
    expect(canceled).to.be.oneOf(['FAILED', 'not-cancelable'])
    next('get')
    expect(await client.payments.get(id)).to.include({ reference: kept, amount: '100.50' })
    next('waitFor')
    expect(await client.payments.waitFor(id)).to.include({ status: 'SUCCESS' })
    next('list')
    const listed: string[] = []
    for await (const payment of client.payments.list({ reference: kept })) listed.push(payment.id)
    expect(listed).to.deep.equal([id])
    next('events of one')
    const types = (await client.payments.events(id)).map(({ type }) => type)
    expect(types).to.deep.equal(['payment.created', 'payment.succeeded'])
    next('events')
    for await (const page of client.events({ after: cursor, follow: true })) {
      for (const { payment } of page.data)
        if (payment && payment.status !== 'PENDING')
          orders.set(payment.reference, payment.status === 'SUCCESS' ? 'paid' : 'unpaid')
      cursor = page.next_cursor
      if ([kept, given].every((reference) => /paid/.test(orders.get(reference) ?? ''))) break
    }
    expect(orders.get(given)).to.equal(canceled === 'FAILED' ? 'unpaid' : 'paid')
  }

  const KILLS = {
    'before its': (kill: () => void) => kill(),
    'after it has handled its': () => proxy.loseAnswerTo('/api/v1/'),
  }

  for (const killed of CALLS) {
    for (const [when, begin] of Object.entries(KILLS)) {
      // Promises 1, 2, 97
      it(`client: a shop loses and doubles no payment when the API is killed ${when} call of ${killed}`, async () => {
        const name = `${killed} ${when}`
        let restarted: Promise<void> | undefined
        const kill = () => {
          restarted ??= killApi()
        }
        await shop(name, (call) => {
          if (call !== killed) return
          onRetry = kill
          begin(kill)
        })
        await defined(restarted, 'kill')
        const { rows } = await pipeline.db.query(
          `select reference, status, (select count(*)::int from payment_events where payment_id = payments.id) as events
           from payments where reference like $1 || '%'`,
          [name],
        )
        const expected = ['kept', 'given-up'].map((order) => {
          const reference = `${name}-${order}`
          return { reference, status: orders.get(reference) === 'paid' ? 'SUCCESS' : 'FAILED', events: 2 }
        })
        expect(rows).to.have.deep.members(expected)
      })
    }
  }
})
