import { randomUUID } from 'node:crypto'
import { type CheckKind, deleteEndpoint, type EndpointCheck, findCheck, rotateSecret, startCheck } from '@cashflow/db'
import { claimCheck } from '@cashflow/db/webhooks'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { CHECK_NAMES, newSecret } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import { type Receiver, startReceiver } from './receiver.ts'
import { type Rig, SECRETS, startRig } from './rig.ts'

interface Report {
  readonly result: string
  readonly cases: readonly { readonly name: string; readonly result: string }[]
}

describe('checks of receivers', () => {
  let rig: Rig
  let receiver: Receiver

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
  })
  afterEach(async () => {
    await rig.stop()
    await receiver.stop()
  })

  async function begin(endpointId: string, kind: CheckKind = 'check', merchantId = DEFAULT_MERCHANT_ID) {
    const started = await startCheck(rig.db, { merchantId, endpointId, id: randomUUID(), kind })
    if (started.outcome !== 'started') throw new Error(started.outcome)
    return started.check
  }
  const find = ({ id, endpointId }: EndpointCheck, merchantId = DEFAULT_MERCHANT_ID) =>
    findCheck(rig.db, { merchantId, endpointId, id })
  async function finished(check: EndpointCheck, merchantId?: string): Promise<Report> {
    let report: unknown
    await eventually(
      async () => {
        rig.wake()
        report = (await find(check, merchantId))?.report
        if (!report) throw new Error('the check is not finished')
      },
      { timeoutMs: 20_000 },
    )
    return report as Report
  }
  const results = ({ cases }: Report) => Object.fromEntries(cases.map(({ name, result }) => [name, result]))

  // Promise 129
  it('webhooks: a check finds what a receiver wrongly takes, and counts as no delivery', async () => {
    const { id, secret } = await rig.endpoint(receiver.url)
    const webhook = new Webhook(secret)
    receiver.answerWith(({ body, headers }) => {
      try {
        webhook.verify(body, headers as Record<string, string>)
        return 204
      } catch {
        return headers['webhook-signature'] ? 400 : 204
      }
    })
    await rig.start()
    const report = await finished(await begin(id))
    expect(report.result).to.equal('failed')
    const found = results(report)
    expect(Object.keys(found)).to.deep.equal(CHECK_NAMES)
    expect(found).to.include({ valid: 'passed', forged_signature: 'passed', missing_signature: 'failed' })
    expect(await rig.deliveries()).to.deep.equal([])
    const queue = await rig.db.selectFrom('webhook_queues').selectAll().executeTakeFirstOrThrow()
    expect(queue).to.include({ failures: 0, succeeded_at: null, failing_since: null })
  })

  it('webhooks: a ping sends one valid event, with both secrets while they rotate', async () => {
    const { id, secret } = await rig.endpoint(receiver.url)
    const next = newSecret()
    const rotation = { merchantId: DEFAULT_MERCHANT_ID, id, secret: SECRETS.seal(next, id), overlapMs: 60_000 }
    await rotateSecret(rig.db, rotation)
    await rig.start()
    const report = await finished(await begin(id, 'ping'))
    expect(results(report)).to.deep.equal({ valid: 'passed', answer_time: 'passed' })
    expect(receiver.received.map(({ type }) => type)).to.deep.equal(['webhook.check'])
    for (const one of [secret, next])
      for (const { body, headers } of receiver.received)
        new Webhook(one).verify(body, headers as Record<string, string>)
  })

  // Promise 129
  it('webhooks: receivers that hang delay no check of another merchant, and two processes run each check once', async () => {
    const slow = await startReceiver(() => undefined)
    const hanging: string[] = []
    for (let merchants = 0; merchants < HANGING.merchants; merchants += 1) {
      const merchantId = await rig.merchant()
      for (let endpoints = 0; endpoints < HANGING.endpointsEach; endpoints += 1) {
        const { id } = await rig.endpoint(slow.url, { merchantId })
        for (const kind of ['check', 'ping'] as const) hanging.push((await begin(id, kind, merchantId)).id)
      }
    }
    const other = await rig.merchant()
    const check = await begin((await rig.endpoint(receiver.url, { merchantId: other })).id, 'ping', other)
    await rig.start()
    await rig.start()
    expect((await finished(check, other)).result).to.equal('passed')
    const rows = await rig.db.selectFrom('webhook_checks').select('id').where('finished_at', 'is', null).execute()
    expect(rows.map(({ id }) => id)).to.have.members(hanging)
    expect(receiver.received).to.have.length(1)
    await rig.stopProcesses()
    await slow.stop()
  }).timeout(60_000)

  it('webhooks: a stopped process gives its check back, and another one begins it', async () => {
    const { id } = await rig.endpoint(receiver.url)
    receiver.answerWith(() => undefined)
    const first = await rig.start()
    const check = await begin(id, 'ping')
    await eventually(() => {
      rig.wake()
      expect(receiver.received).to.have.length(1)
    })
    await first.stop()
    expect((await find(check))?.finishedAt).to.equal(null)
    receiver.answerWith(() => 204)
    await rig.start()
    expect((await finished(check)).result).to.equal('passed')
  }).timeout(60_000)

  // Promise 129
  it('webhooks: a check whose process died is begun again, and not more than three times', async () => {
    const { id } = await rig.endpoint(receiver.url)
    const check = await begin(id, 'ping')
    const die = () => claimCheck(rig.db, { token: randomUUID(), leaseMs: 0 })
    for (let count = 1; count <= 2; count += 1) expect(await die()).to.include({ id: check.id, starts: count })
    await rig.start()
    expect((await finished(check)).result).to.equal('passed')

    const doomed = await begin((await rig.endpoint(receiver.url)).id, 'ping')
    await rig.stopProcesses()
    await sql`update webhook_checks set report = null, finished_at = null, starts = 3 where id = ${doomed.id}`.execute(
      rig.db,
    )
    await rig.start()
    expect((await finished(doomed)).result).to.equal('incomplete')
  }).timeout(60_000)

  it('webhooks: nothing is sent to an endpoint that was deleted after its check was asked for', async () => {
    const { id } = await rig.endpoint(receiver.url)
    await begin(id)
    await deleteEndpoint(rig.db, { merchantId: DEFAULT_MERCHANT_ID, id })
    await rig.start()
    await eventually(async () => {
      rig.wake()
      const rows = await rig.db.selectFrom('webhook_checks').select('finished_at').execute()
      expect(rows[0]?.finished_at).to.be.instanceOf(Date)
    })
    expect(receiver.received).to.deep.equal([])
  })

  it('webhooks: a check whose secret cannot be opened stops no other one, and is logged', async () => {
    const { id } = await rig.endpoint(receiver.url)
    await sql`update webhook_endpoints set secret = '\\x00' where id = ${id}`.execute(rig.db)
    const other = await rig.merchant()
    await begin(id, 'ping')
    const check = await begin((await rig.endpoint(receiver.url, { merchantId: other })).id, 'ping', other)
    const { log } = await rig.start()
    expect((await finished(check, other)).result).to.equal('passed')
    await eventually(() => expect(log.lines.map(({ message }) => message)).to.include(UNOPENED))
  })

  it('webhooks: a process deletes checks that finished before the time for which deliveries are kept, and no other one', async () => {
    const endpoints = [await rig.endpoint(receiver.url), await rig.endpoint(receiver.url)] as const
    await rig.start()
    const [old, young] = [await begin(endpoints[0].id, 'ping'), await begin(endpoints[1].id, 'ping')]
    await finished(old)
    await finished(young)
    await rig.stopProcesses()
    const unfinished = await begin(endpoints[0].id, 'check')
    await claimCheck(rig.db, { token: randomUUID(), leaseMs: 600_000 }) // By another process, which runs it.
    await sql`update webhook_checks set created_at = created_at - interval '1 hour'`.execute(rig.db)
    await sql`update webhook_checks set finished_at = finished_at - interval '1 hour' where id = ${old.id}`.execute(
      rig.db,
    )
    await rig.start({ keptMs: 600_000 })
    await eventually(async () => {
      const rows = await rig.db.selectFrom('webhook_checks').select('id').execute()
      expect(rows.map(({ id }) => id)).to.have.members([young.id, unfinished.id])
    })
  })
})

/** More checks than two processes run at a time. */
const HANGING = { merchants: 63, endpointsEach: 2 } as const
const UNOPENED = 'check of a receiver failed, it begins again when its lease ends'
