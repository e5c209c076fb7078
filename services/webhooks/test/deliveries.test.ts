import { defined } from '@cashflow/async'
import { type EndedAttempt, settleDeliveries, type Verdict } from '@cashflow/db/webhooks'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver, verifyWith } from './receiver.ts'
import { created, type Rig, startRig, succeeded } from './rig.ts'
import { claimAndDie } from './time.ts'

describe('deliveries of webhooks', () => {
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

  // Promises 118, 119, 120
  it('webhooks: sends each event of a payment once, in order, with signatures that the official library accepts', async () => {
    const { secret } = await rig.endpoint(receiver.url)
    await rig.start()
    const payment = await rig.pay()
    await rig.settle(payment)
    rig.wake()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(payment), succeeded(payment)]))
    for (const request of receiver.received) verifyWith(secret, request)
    const [first, second] = receiver.received
    expect(first?.data).to.include({ id: payment, sequence: 1, status: 'PENDING', previous_event_id: null })
    expect(second?.data).to.include({ sequence: 2, status: 'SUCCESS', previous_event_id: created(payment) })
    expect(Object.keys(first?.data ?? {})[0]).to.equal('id')
    await rig.delivered()
    expect(await rig.deliveries()).to.have.lengthOf(2)
  })

  for (const [what, verdicts, isRecovering] of [
    ['successes only', ['succeeded', 'succeeded'], false],
    ['a success after a failure', ['failed', 'succeeded'], true],
  ] as const)
    it(`webhooks: a healthy endpoint ${isRecovering ? 'recovers' : 'needs no recovery'} after ${what} in one batch`, async () => {
      await rig.endpoint(receiver.url)
      const distributor = await rig.start({ attemptsMax: 0 })
      for (const _ of verdicts) await rig.pay()
      rig.wake()
      await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(2))
      await distributor.stop()
      await rig.db.updateTable('webhook_queues').set({ is_failing: false }).execute()
      const claimed = await claimAndDie(rig.db)
      await settleDeliveries(
        rig.db,
        verdicts.map((kind, place): EndedAttempt => {
          const verdict: Verdict = kind === 'failed' ? { kind, delayMs: 1_000, holdMs: 0 } : { kind }
          const { endpointId, id, token, url } = defined(claimed[place], 'claimed delivery')
          const unanswered = { error: undefined, answer: undefined }
          return { endpointId, url, id, token, durationMs: 1, status: 200, ...unanswered, verdict }
        }),
      )
      const [queue] = await rig.db.selectFrom('webhook_queues').select('recovering_since').execute()
      expect(queue?.recovering_since != null).to.equal(isRecovering)
    })
})
