import { rotateSecret } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { newSecret } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { type Received, type Receiver, startReceiver, verifyWith } from './receiver.ts'
import { created, type Rig, SECRETS, startRig } from './rig.ts'

describe('secrets of webhooks', () => {
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

  /** Has a webhook sent. Returns the request. */
  async function send(): Promise<Received> {
    const payment = await rig.pay()
    rig.wake()
    return await eventually(() => {
      const request = receiver.received.find(({ id }) => id === created(payment))
      if (!request) throw new Error('not received')
      return request
    })
  }

  // Promise 120
  it('webhooks: both secrets sign while a secret rotates, and only the new one afterwards', async () => {
    const { id, secret: former } = await rig.endpoint(receiver.url)
    await rig.start()
    const before = await send()
    verifyWith(former, before)
    expect(before.headers['webhook-signature']).to.match(/^v1,[A-Za-z0-9+/]{43}=$/)
    const current = newSecret()
    const rotation = { merchantId: DEFAULT_MERCHANT_ID, id, secret: SECRETS.seal(current, id), overlapMs: 3_600_000 }
    await rotateSecret(rig.db, rotation)
    const during = await send()
    verifyWith(current, during)
    verifyWith(former, during)
    expect(during.headers['webhook-signature']).to.match(/^v1,\S{44} v1,\S{44}$/)
    // The overlap ends.
    await rig.db
      .updateTable('webhook_endpoints')
      .set({ former_secret_until: new Date(0) })
      .execute()
    const after = await send()
    verifyWith(current, after)
    expect(() => verifyWith(former, after)).to.throw('No matching signature')
    expect(after.headers['webhook-signature']).to.match(/^v1,\S{44}$/)
  })
})
