import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

interface State {
  /** Assignments of the row. */
  readonly row: string
  readonly waitingFor: string
  /** The column with the time of the next action. */
  readonly next?: 'lease_until' | 'redrive_at'
  /** Exactly, or between these two, because time passes. */
  readonly retryAfter: number | [number, number]
}

const TOKEN = 'claim_token = gen_random_uuid()'
const [PAST, FUTURE] = ["now() - interval '1 minute'", "now() + interval '20 seconds'"]

// Times are far from the present, and the test judges by PostgreSQL's clock.
const STATES: Readonly<Record<string, State>> = {
  'was never claimed': { row: 'attempts = 0', waitingFor: 'queue', next: 'redrive_at', retryAfter: 1 },
  'has a claim whose lease runs': {
    row: `${TOKEN}, lease_until = ${FUTURE}`,
    waitingFor: 'provider',
    next: 'lease_until',
    retryAfter: 1,
  },
  'has a claim whose lease ran out': {
    row: `${TOKEN}, lease_until = ${PAST}`,
    waitingFor: 'worker',
    next: 'redrive_at',
    retryAfter: 1,
  },
  'waits for its next attempt': {
    row: `attempts = 3, lease_until = ${FUTURE}`,
    waitingFor: 'retry',
    next: 'lease_until',
    retryAfter: [2, 20],
  },
  'was released without an attempt': {
    row: `attempts = 0, lease_until = ${FUTURE}`,
    waitingFor: 'retry',
    next: 'lease_until',
    retryAfter: [2, 20],
  },
  'has an attempt that is due': {
    row: `attempts = 3, lease_until = ${PAST}, redrive_at = ${FUTURE}`,
    waitingFor: 'retry',
    next: 'lease_until',
    retryAfter: 1,
  },
  'was requeued by an operator': {
    row: `attempts = 1, redrive_at = ${PAST}`,
    waitingFor: 'retry',
    next: 'redrive_at',
    retryAfter: 1,
  },
  'is not decided by the processor': {
    row: `provider_pending_since = now(), lease_until = now() + interval '1 hour'`,
    waitingFor: 'pending',
    next: 'lease_until',
    retryAfter: 60,
  },
  'is asked about, and is not decided yet': {
    row: `provider_pending_since = now(), ${TOKEN}, lease_until = ${FUTURE}`,
    waitingFor: 'provider',
    next: 'lease_until',
    retryAfter: 1,
  },
  'is parked': { row: 'parked_at = now(), redrive_at = null', waitingFor: 'operator', retryAfter: 60 },
}

describe('api: what a payment waits for', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  async function createAs(assignments: string): Promise<string> {
    const { id } = (await post(api, bodyWith())).body
    await sql`update payments set ${sql.raw(assignments)} where id = ${id}`.execute(api.db)
    return id
  }

  for (const [state, { row, waitingFor, next, retryAfter }] of Object.entries(STATES)) {
    // Promise 90
    it(`api: GET says that a payment which ${state} waits for ${waitingFor}, and until when`, async () => {
      const id = await createAs(row)
      const { body, headers } = await api.agent.get(`/payments/${id}`)
      const times = await api.db
        .selectFrom('payments')
        .select(['lease_until', 'redrive_at'])
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      expect(body).to.include({ status: 'PENDING', waiting_for: waitingFor })
      expect(body.next_action_at).to.equal(next && times[next]?.toISOString())
      const seconds = Number(headers['retry-after'])
      if (typeof retryAfter === 'number') expect(seconds).to.equal(retryAfter)
      else expect(seconds).to.be.within(...retryAfter)
    })
  }

  it('api: GET of a settled payment says nothing of waiting, and why it failed', async () => {
    const success = await api.agent.get(
      `/payments/${await createAs(`status = 'SUCCESS', settled_at = now(), ${TOKEN}`)}`,
    )
    const failed = await api.agent.get(
      `/payments/${await createAs("status = 'FAILED', settled_at = now(), failure_code = 'no_funds'")}`,
    )
    for (const { body, headers } of [success, failed]) {
      expect(body).not.to.have.any.keys('waiting_for', 'next_action_at')
      expect(headers).not.to.have.property('retry-after')
    }
    expect(success.body).not.to.have.property('failure_code')
    expect(failed.body.failure_code).to.equal('no_funds')
  })

  // Promise 80
  it('api: the 201 of a payment says nothing of waiting, and neither does its replay', async () => {
    const key = { 'Idempotency-Key': 'of-a-waiting-payment' }
    const body = bodyWith()
    for (const response of [await post(api, body, '/payments', key), await post(api, body, '/payments', key)]) {
      expect(response.status).to.equal(201)
      expect(response.body).not.to.have.any.keys('waiting_for', 'next_action_at')
      expect(response.headers).not.to.have.property('retry-after')
    }
  })
})
