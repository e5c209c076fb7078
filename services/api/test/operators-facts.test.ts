import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { sql } from 'kysely'
import { startApiOnOwnServer } from './events/start-own-server.ts'
import { bodyWith, newReference, post } from './requests.ts'
import { routesOf } from './routes-of.ts'
import type { ApiUnderTest } from './start-api.ts'

const SECRET = 'host-of-a-worker:4711'

describe("operators' facts of a payment", () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApiOnOwnServer()
  })
  after(() => api?.stop())

  /** A payment with a trace, hashes and attempts, settled or not. */
  async function stored(status: 'PENDING' | 'SUCCESS') {
    const reference = newReference()
    const { body } = await post(api, bodyWith({ reference }), '/payments', { 'Idempotency-Key': reference })
    const trace = JSON.stringify({ instance: SECRET })
    await sql`update payment_events set trace = ${trace} where payment_id = ${body.id}`.execute(api.db)
    await sql`insert into payment_attempts (payment_id, kind, actor, data) values (${body.id}, 'redriven', ${SECRET}, ${trace})`.execute(
      api.db,
    )
    if (status === 'SUCCESS')
      await sql`with settled as (update payments set status = 'SUCCESS', settled_at = now() where id = ${body.id} returning *)
        insert into payment_events (payment_id, merchant_id, sequence, type, actor, hash, trace)
        select id, merchant_id, 2, 'payment.succeeded', 'worker', last_hash, ${trace} from settled`.execute(api.db)
    const { last_hash } = await api.db
      .selectFrom('payments')
      .select('last_hash')
      .where('id', '=', body.id)
      .executeTakeFirstOrThrow()
    const hash = defined(last_hash ?? undefined, 'hash')
    return { id: body.id as string, reference, hidden: [SECRET, hash.toString('hex'), hash.toString('base64')] }
  }

  // Promise 105
  it("operators' facts: no answer of any route shows a payment's trace, its hashes, or its attempts", async () => {
    const payments = [await stored('PENDING'), await stored('SUCCESS')]
    const answers: string[] = []
    for (const { id, reference } of payments) {
      for (const route of routesOf(api.app)) {
        const [method, path = ''] = route.split(' ')
        if (path.startsWith('^')) continue // The root, which names no payment.
        const url = path.replace(':id', id)
        const { text } =
          method === 'POST'
            ? await post(api, bodyWith({ reference }), url, { 'Idempotency-Key': reference })
            : await api.agent.get(url).set('Prefer', 'wait=1')
        answers.push(text ?? '')
      }
      answers.push((await post(api, bodyWith({ reference }))).text)
    }
    const all = answers.join('\n')
    for (const { id, hidden } of payments) {
      expect(all).to.include(id)
      for (const fact of hidden) expect(all).to.not.include(fact)
    }
    const parsed = answers.filter((text) => text.startsWith('{') && !text.includes('"openapi"'))
    for (const text of parsed) expect(text).to.not.match(/"(trace|hash|last_hash|attempts)":/)
  })
})
