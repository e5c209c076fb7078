import { expect } from 'chai'
import { eventually } from '../src/index.ts'
import type { Pipeline } from '../src/pipeline.ts'

export const PAYMENTS = 1_000
const CONNECTIONS = 20
const ANSWERED_WITHIN_MS = 60_000
const SETTLED_WITHIN_MS = 90_000

/**
 * Posts over many connections at once. As a client would, it repeats a request without an answer, whose reference may
 * then exist.
 */
export async function postAll(
  pipeline: Pipeline,
  onPosted: (count: number) => void = () => {},
  { payments = PAYMENTS, connections = CONNECTIONS } = {},
): Promise<Set<string>> {
  const ids = new Set<string>()
  let next = 0
  const connection = async () => {
    for (let number = next++; number < payments; number = next++) {
      const { id } = await eventually(
        async () => {
          const answer = await pipeline.post(`ref-${number}`)
          expect(answer.status).to.be.oneOf([201, 409])
          return answer
        },
        { timeoutMs: ANSWERED_WITHIN_MS },
      )
      ids.add(id)
      onPosted(ids.size)
    }
  }
  await Promise.all(Array.from({ length: connections }, connection))
  return ids
}

/** Waits until every payment is settled, and expects that exactly these payments exist. */
export async function expectEachSettledOnce({ db }: Pipeline, ids: Set<string>): Promise<void> {
  await eventually(
    async () => {
      const { rows } = await db.query("select count(*)::int as pending from payments where status = 'PENDING'")
      expect(rows[0].pending, 'payments still PENDING').to.equal(0)
    },
    { timeoutMs: SETTLED_WITHIN_MS, intervalMs: 100 },
  )
  const { rows } = await db.query(`
    select p.id, p.status, array_agg(e.type order by e.sequence) as history
    from payments p join payment_events e on e.payment_id = p.id group by p.id`)
  expect(rows).to.have.length(ids.size)
  for (const { id, status, history } of rows) {
    const end = status === 'SUCCESS' ? 'payment.succeeded' : 'payment.failed'
    expect(history, `events of ${id}`).to.deep.equal(['payment.created', end])
    expect(ids.has(id)).to.equal(true)
  }
}

/** Waits until every payment is settled, and then until the outbox and the queue are empty. */
export async function expectAllSettledOnce(pipeline: Pipeline, ids: Set<string>): Promise<void> {
  const { db } = pipeline
  await expectEachSettledOnce(pipeline, ids)
  await eventually(
    async () => {
      const left =
        await db.query(`select (select count(*) from outbox_messages) + (select count(*) from outbox_scheduled)
        + (select count(*) from dead_letters) as left`)
      expect(Number(left.rows[0].left), 'rows in the outbox').to.equal(0)
      expect(await pipeline.queueDepth(), 'messages in the queue').to.equal(0)
    },
    { timeoutMs: SETTLED_WITHIN_MS, intervalMs: 200 },
  )
}
