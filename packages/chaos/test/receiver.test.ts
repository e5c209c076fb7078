import { eventually } from '@cashflow/testing'
import { createSender, newSecret, webhookHeaders } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { createRandom } from '../src/random.ts'
import { type Receiver, startReceiver } from '../src/receiver.ts'

const BODY = '{"type":"payment.created"}'

describe('receiver of webhooks', () => {
  const sender = createSender({ policy: { allowPrivate: true } })
  const [secret, other] = [newSecret(), newSecret()]
  let receiver: Receiver
  beforeEach(async () => {
    receiver = await startReceiver(createRandom(1))
  })
  afterEach(() => receiver.stop())
  after(() => sender.close())

  const send = (...secrets: string[]) =>
    sender.post(receiver.url, webhookHeaders({ id: 'evt', body: BODY, secrets, now: new Date() }), BODY)

  it('receiver of webhooks accepts a request, and notes which secrets have signed it', async () => {
    receiver.learn(secret)
    receiver.learn(other)
    expect(await send(other, secret)).to.include({ status: 204 })
    expect(await send(newSecret())).to.include({ status: 204 })
    const [first, second] = receiver.requests
    expect(first?.signedBy).to.eql([0, 1])
    expect(first?.acceptedAt).to.be.at.least(first?.at ?? Number.POSITIVE_INFINITY)
    expect(second?.signedBy).to.eql([])
  })

  it('receiver of webhooks knows a request whose secret it learns later', async () => {
    await send(secret)
    receiver.learn(secret)
    expect(receiver.requests[0]?.signedBy).to.eql([0])
  })

  it('receiver of webhooks that is away refuses connections until it comes back', async () => {
    await send(secret)
    await receiver.leave()
    expect((await send(secret)).status).to.equal(undefined)
    await receiver.comeBack()
    expect(await send(secret)).to.include({ status: 204 })
    expect(receiver.requests).to.have.length(2)
  })

  it('receiver of webhooks that fails or lies keeps requests that it does not accept', async () => {
    for (const mode of ['failing', 'lying'] as const) {
      receiver.setMode(mode)
      const before = receiver.requests.length
      receiver.redirectTo('http://127.0.0.1:1/elsewhere')
      await eventually(async () => {
        await send(secret)
        expect(receiver.requests.slice(before).some(({ acceptedAt }) => acceptedAt === undefined)).to.equal(true)
      })
    }
  })
})
