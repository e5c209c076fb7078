import { randomUUID } from 'node:crypto'
import { type Finding, verify } from '@cashflow/db/operator'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type Receiver, startReceiver } from './receiver.ts'
import { type Rig, startRig } from './rig.ts'

describe('verify: webhooks', () => {
  let rig: Rig
  let receiver: Receiver
  before(async () => {
    rig = await startRig()
    receiver = await startReceiver()
  })
  after(async () => {
    await rig.stop()
    await receiver.stop()
  })

  async function found(paymentId?: string) {
    const findings: Finding[] = []
    const counts = await verify(rig.db, { paymentId, report: async (finding) => void findings.push(finding) })
    return { counts, what: findings.map(({ what }) => what) }
  }
  /** A settled payment whose two events were delivered to an endpoint that was created an hour before. */
  async function delivered() {
    const { id: endpoint } = await rig.endpoint(receiver.url)
    await sql`update webhook_endpoints set whole_since = now() - interval '1 hour' where id = ${endpoint}`.execute(
      rig.db,
    )
    const service = await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(async () => {
      const rows = await rig.deliveries()
      expect(
        rows.filter(({ payment_id, status }) => payment_id === payment && status === 'succeeded').length % 2,
      ).to.equal(0)
      expect(rows.map(({ payment_id }) => payment_id)).to.include(payment)
      expect(rows.every(({ status }) => status === 'succeeded')).to.equal(true)
    })
    await service.stop()
    return { payment, endpoint }
  }

  it('verify: finds nothing in what was delivered, and what was changed by hand in deliveries and payloads', async () => {
    const { payment, endpoint } = await delivered()
    expect(await found()).to.deep.include({ what: [] })
    expect((await found(payment)).counts).to.include({ deliveries: 2, findings: 0 })
    const [first, second] = await rig.deliveries()
    const change = async (statement: ReturnType<typeof sql>) => {
      await statement.execute(rig.db)
    }
    const body = (name: string, to: string) =>
      sql`update webhook_payloads set body = replace(body, ${name}, ${to}) where payment_id = ${payment} and sequence = 2`
    await change(body('"status":"SUCCESS"', '"status":"FAILED"'))
    expect((await found()).what).to.deep.equal(['status of the payload of event 2'])
    await change(body('"status":"FAILED"', '"status":"SUCCESS"'))
    await change(body('"amount":1', '"amount":9'))
    expect((await found(payment)).what).to.deep.equal(['amount of the payload of event 2'])
    await change(body('"amount":9', '"amount":1'))
    await change(sql`update webhook_deliveries set type = 'payment.failed' where id = ${second?.id}`)
    expect((await found()).what).to.deep.equal([`type of delivery ${second?.id} of event 2`])
    await change(sql`update webhook_deliveries set type = 'payment.succeeded' where id = ${second?.id}`)
    await change(sql`update webhook_deliveries set merchant_id = ${randomUUID()} where id = ${first?.id}`)
    expect((await found()).what).to.deep.equal([`merchant of delivery ${first?.id} of event 1`])
    await change(sql`update webhook_deliveries set merchant_id = ${first?.merchant_id} where id = ${first?.id}`)
    await change(sql`update webhook_deliveries set last_status = 500 where id = ${first?.id}`)
    expect((await found()).what).to.deep.equal([`last status of delivery ${first?.id} of event 1`])
    await change(sql`update webhook_deliveries set last_status = 204 where id = ${first?.id}`)
    expect((await found()).what).to.deep.equal([])

    await change(sql`delete from webhook_deliveries where id = ${first?.id}`)
    expect((await found()).what).to.deep.equal([`delivery of event 1 to endpoint ${endpoint}`])
    await change(sql`update webhook_endpoints set types = '{payment.succeeded}'`)
    expect((await found()).what, 'an endpoint of other types').to.deep.equal([])
    await change(sql`update webhook_endpoints set types = null, whole_since = now()`)
    expect((await found()).what, 'an endpoint that was enabled later').to.deep.equal([])
    await change(sql`insert into webhook_deliveries (endpoint_id, merchant_id, payment_id, sequence, type, event_at)
      values (${endpoint}, ${first?.merchant_id}, ${payment}, 7, 'payment.created', now())`)
    expect((await found()).what[0]).to.match(/^event of delivery \d+$/)
  })
})
