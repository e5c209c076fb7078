import { expect } from 'chai'
import { expectProblem } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('GET /payments: parameters', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  async function expectNames(query: string, ...parameters: string[]) {
    const answer = await api.agent.get(`/payments?${query}`)
    expectProblem(answer, 400, 'validation-error')
    const named = answer.body.errors.map(({ parameter }: { parameter: string }) => parameter)
    expect(named, query).to.deep.equal(parameters)
    for (const { detail } of answer.body.errors) expect(detail).to.be.a('string').that.is.not.empty
  }

  it('GET /payments: names each parameter that is unknown, repeated or not valid', async () => {
    for (const limit of ['0', '101', '1000', '-1', '1.5', '01', '', 'ten', '1e1', ' 5'])
      await expectNames(`limit=${limit}`, 'limit')
    await expectNames('stauts=PENDING', 'stauts')
    await expectNames('toString=1&__proto__=2&constructor=3', 'toString', '__proto__', 'constructor')
    await expectNames('=1', '""')
    await expectNames('status=PENDING&status=PENDING', 'status')
    await expectNames('status=pending&currency=usd&currencies=USD', 'currencies', 'status', 'currency')
    await expectNames(`${'x'.repeat(1_000)}=1`, `${'x'.repeat(64)}…`)
    await expectNames(`reference=${'x'.repeat(256)}&idempotency_key=`, 'reference', 'idempotency_key')
    await expectNames('reference=%00', 'reference')
  })

  for (const time of [
    ...['2026-02-30T00:00:00Z', '2026-02-29T00:00:00Z', '2026-13-01T00:00:00Z', '2026-11-22T24:00:00Z'],
    ...['2026-11-22T01:37:60Z', '2026-11-22', '2026-11-22T01:37Z', '2026-11-22T01:37:08', '2026-11-22 01:37:08Z'],
    ...['2026-11-22T01:37:08+03', '2026-11-22T01:37:08 03:00', '2026-11-22T01:37:08+24:00', 'infinity', 'now', ''],
    ...[
      '0000-12-31T23:59:59Z',
      '0001-01-01T00:00:00+00:01',
      '9999-12-31T23:59:59-00:01',
      '2026-11-22T01:37:08.0000001Z',
    ],
  ]) {
    it(`GET /payments: refuses the time ${time || 'without text'}`, async () => {
      const query = new URLSearchParams({ created_from: time, created_to: time })
      await expectNames(query.toString(), 'created_from', 'created_to')
    })
  }
})
