import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createTestDatabase, query as queryOnce, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { COUNT_UNDELIVERED, makeDue } from '../src/webhook-backlog.ts'

const LATER = "now() + interval '5 minutes'"

interface StoreOptions {
  dueAt?: string
  lookAt?: string
  claim?: string
  enabled?: boolean
}

describe('backlog of webhooks', () => {
  let database: TestDatabase
  beforeEach(async () => {
    database = await createTestDatabase()
  })
  afterEach(() => database.drop())

  const query = <Row extends object>(text: string) => queryOnce<Row>(database.url, text)
  const undelivered = async () =>
    defined((await query<{ count: number }>(`select (${COUNT_UNDELIVERED}) as count`))[0], 'row').count

  /** Stores a delivery and the queue of its endpoint, with these times as SQL. */
  async function store({ dueAt = LATER, lookAt = dueAt, claim = 'null', enabled = true }: StoreOptions = {}) {
    const id = randomUUID()
    await query(`
      with endpoint as (
        insert into webhook_endpoints (id, merchant_id, url, ordering, secret, secret_key_id)
        values ('${id}', '${DEFAULT_MERCHANT_ID}', 'http://127.0.0.1', 'payment', '', 'key') returning id),
      queue as (
        insert into webhook_queues (endpoint_id, merchant_id, is_enabled, due_at)
        select id, '${DEFAULT_MERCHANT_ID}', ${enabled}, ${lookAt} from endpoint)
      insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at, due_at, claim_token)
      select id, '${DEFAULT_MERCHANT_ID}', '${randomUUID()}', 1, 'payment.created', now(), ${dueAt}, ${claim} from endpoint`)
  }

  it('backlog of webhooks counts deliveries of enabled endpoints, and those that wait for a retry become due', async () => {
    await store()
    await store({ enabled: false })
    expect(await undelivered()).to.equal(1)
    expect(await makeDue(query)).to.equal(1)
    const rows = await query<{ deliveries: number }>(`
      select from webhook_deliveries d join webhook_queues q on q.endpoint_id = d.endpoint_id
      where d.due_at <= now() and q.due_at <= now()`)
    expect(rows).to.have.length(1)
    expect(await undelivered()).to.equal(1)
  })

  for (const [what, row] of [
    ['that the service attempts soon', { dueAt: "now() + interval '5 seconds'" }],
    ['that a process has claimed', { claim: `'${randomUUID()}'` }],
    ['at which the service never looks', { lookAt: "'infinity'" }],
  ] as const) {
    it(`backlog of webhooks leaves a delivery alone ${what}`, async () => {
      await store(row)
      expect(await makeDue(query)).to.equal(0)
      expect(await undelivered()).to.equal(1)
    })
  }
})
