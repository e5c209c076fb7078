import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { hasEnabledEndpoint, readWebhooks } from '../../src/facts/webhooks.ts'
import { readFindings } from '../../src/operator/findings.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const MERCHANT = '00000000-0000-7000-8000-000000000001'

interface Given {
  isFailing?: boolean
  /** Time since its first failure. */
  failingS?: number
  disabled?: string
  disabledS?: number
  recoveringS?: number
  /** Time since its queue was due. */
  dueS?: number
  /** Time for which it gets nothing. */
  heldS?: number
}

describe('facts about webhooks', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore()
  })
  afterEach(() => store.drop())

  async function endpoint(given: Given = {}): Promise<string> {
    const {
      isFailing = false,
      failingS = null,
      disabled = null,
      disabledS = 1,
      recoveringS = null,
      dueS = null,
      heldS = null,
    } = given
    const id = randomUUID()
    await sql`insert into webhook_endpoints (id, merchant_id, url, ordering, secret, secret_key_id, disabled_at, disabled_reason)
      values (${id}, ${MERCHANT}, 'https://example.com', 'payment', '', 'k',
        case when ${disabled}::text is not null then now() - ${disabledS}::int * interval '1 second' end, ${disabled})`.execute(
      store.db,
    )
    const ago = (seconds: number | null) => sql`now() - ${seconds}::int * interval '1 second'`
    await sql`insert into webhook_queues (endpoint_id, merchant_id, is_enabled, is_failing, failing_since, recovering_since,
        held_until, due_at)
      values (${id}, ${MERCHANT}, ${disabled}::text is null, ${isFailing}, ${ago(failingS)}, ${ago(recoveringS)},
        now() + ${heldS}::int * interval '1 second', coalesce(${ago(dueS)}, 'infinity'))`.execute(store.db)
    return id
  }

  const delivery = (endpointId: string, dueS: number, isReplay = false) =>
    sql`insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at, is_replay, due_at)
      values (${endpointId}, ${MERCHANT}, gen_random_uuid(), 1, 'payment.created', now(), ${isReplay},
        now() - ${dueS}::int * interval '1 second')`.execute(store.db)

  it('facts about webhooks: count endpoints by state, and those that were disabled in the last day by reason', async () => {
    expect(hasEnabledEndpoint(await readWebhooks(store.db))).to.equal(false)
    await endpoint({ disabled: 'failing' })
    await endpoint({ disabled: 'gone', disabledS: 90_000 })
    expect(hasEnabledEndpoint(await readWebhooks(store.db))).to.equal(false)
    await endpoint()
    await endpoint({ isFailing: true })
    await endpoint({ isFailing: true, failingS: 60 })
    const facts = await readWebhooks(store.db)
    expect(facts.endpoints).to.deep.equal({ healthy: 1, new: 1, failing: 1, disabled: 2 })
    expect([...facts.disabledLately]).to.deep.equal([['failing', 1]])
    expect(hasEnabledEndpoint(facts)).to.equal(true)
  })

  it('facts about webhooks: deliveries that are late are those of healthy endpoints that do not recover', async () => {
    await delivery(await endpoint({ isFailing: true, failingS: 900 }), 800)
    await delivery(await endpoint({ recoveringS: 10 }), 700)
    const healthy = await endpoint()
    await delivery(healthy, 600, true)
    await delivery(healthy, -30)
    expect((await readWebhooks(store.db)).overdueMs).to.equal(0)
    await delivery(healthy, 40)
    expect((await readWebhooks(store.db)).overdueMs).to.be.within(40_000, 45_000)
  })

  it('facts about webhooks: a delivery is late that was claimed again and again and never sent, also to a new endpoint', async () => {
    for (const [isFailing, createdS] of [
      [false, 70],
      [true, 140],
    ] as const) {
      const id = await endpoint({ isFailing })
      await delivery(id, -20)
      await sql`update webhook_deliveries set claim_token = gen_random_uuid(),
        created_at = now() - ${createdS}::int * interval '1 second' where endpoint_id = ${id}`.execute(store.db)
      const { overdueMs } = await readWebhooks(store.db)
      expect(overdueMs).to.be.within(createdS * 1_000, createdS * 1_000 + 5_000)
    }
    // Its first attempt has failed, and the second one is under way.
    await sql`update webhook_deliveries set last_attempt_at = now()`.execute(store.db)
    expect((await readWebhooks(store.db)).overdueMs).to.equal(0)
  })

  it('facts about webhooks: of the deliveries that a sandbox disturbs, only those that it delays are never late', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/alerts.md'), 'utf8')
    const shown = defined(/## CashflowWebhooksLate.*?```sql\n(.*?)```/s.exec(page)?.[1], 'SQL of the alert')
    const id = await endpoint()
    await delivery(id, -20)
    await sql`update webhook_deliveries set claim_token = gen_random_uuid(), created_at = now() - interval '70 seconds'`.execute(
      store.db,
    )
    for (const [fault, isLate] of [
      ['duplicate', true],
      ['unordered', true],
      ['late', false],
      ['held', false],
      [null, true],
    ] as const) {
      await sql`update webhook_deliveries set fault = ${fault}`.execute(store.db)
      expect((await readWebhooks(store.db)).overdueMs > 0, String(fault)).to.equal(isLate)
      const { rows } = await sql.raw<{ endpoint_id: string }>(shown).execute(store.db)
      expect(
        rows.map(({ endpoint_id }) => endpoint_id),
        `docs/alerts.md: ${fault}`,
      ).to.deep.equal(isLate ? [id] : [])
    }
  })

  it('facts about webhooks: an endpoint that has asked for a pause is not late', async () => {
    await delivery(await endpoint({ heldS: 600 }), 300)
    expect((await readWebhooks(store.db)).overdueMs).to.equal(0)
    await delivery(await endpoint({ heldS: -1 }), 40)
    expect((await readWebhooks(store.db)).overdueMs).to.be.within(40_000, 45_000)
  })

  it('facts about webhooks: the fan-out is late by the age of an event behind the cursor, with an enabled endpoint', async () => {
    const { id } = await store.insert()
    await sql`update payment_events set created_at = now() - interval '50 seconds' where payment_id = ${id}`.execute(
      store.db,
    )
    await sql`insert into webhook_cursors values (${MERCHANT}, 'e', '0', 0, now())`.execute(store.db)
    await endpoint({ disabled: 'requested' })
    expect((await readWebhooks(store.db)).fanOutLagMs).to.equal(0)
    await endpoint()
    expect((await readWebhooks(store.db)).fanOutLagMs).to.be.within(50_000, 55_000)
    await sql`update webhook_cursors set (xid, id) = (select xid, id from payment_events where payment_id = ${id})`.execute(
      store.db,
    )
    expect((await readWebhooks(store.db)).fanOutLagMs).to.equal(0)
  })

  it('the finding "webhooks are late" counts healthy endpoints that no process has looked at for 10 seconds', async () => {
    await endpoint({ isFailing: true, dueS: 60 })
    await endpoint({ dueS: 5 })
    expect(await readFindings(store.db, 'webhooks')).to.deep.equal([])
    await endpoint({ dueS: 60 })
    const [late] = await readFindings(store.db, 'webhooks')
    expect(late).to.include({ finding: 'webhooks are late', subject: '1 endpoints' })
    expect(late?.sinceMs).to.be.within(60_000, 65_000)
  })
})
