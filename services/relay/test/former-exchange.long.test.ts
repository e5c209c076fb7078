import type { TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayRig, PATIENTLY, type RelayRig } from './relay-rig.ts'

const ANOTHER_EXCHANGE = 'an exchange of other settings exists, consumers bound to it get nothing from this relay'

describe('relay whose queue is not `payments`', function () {
  this.timeout(180_000)
  let rig: RelayRig
  let vhost: TestVhost
  beforeEach(async () => {
    rig = await createRelayRig()
    vhost = rig.vhost
  })
  afterEach(() => rig.stop())

  const declareFormer = () =>
    vhost.management.request('PUT', `/exchanges/${vhost.name}/payments`, { type: 'topic', durable: true })
  const exchanges = async () => {
    const all = (await vhost.management.request('GET', `/exchanges/${vhost.name}`)) as { name: string }[]
    return all.map(({ name }) => name).filter((name) => name && !name.startsWith('amq.'))
  }
  const count = (lines: readonly { message: string }[]) =>
    lines.filter(({ message }) => message === ANOTHER_EXCHANGE).length

  // Promise 37
  it('warns at its start when an exchange `payments` exists', async () => {
    await declareFormer()
    const relay = rig.start({ MQ_QUEUE: 'orders' })
    const line = await relay.logged(ANOTHER_EXCHANGE, PATIENTLY)
    const settings = 'MQ_QUEUE, MQ_EXCHANGE'
    expect(line).to.include({ level: 'warn', exchange: 'payments', published_to: 'orders', settings })
    await relay.logged('ready', PATIENTLY)
    expect(relay.logs.filter(({ message }) => message.startsWith('lost'))).to.deep.equal([])
    expect(await relay.stop()).to.equal(0)
    expect(count(relay.logs)).to.equal(1)
  })

  it('logs no warning when no exchange `payments` exists, or when MQ_EXCHANGE is set', async () => {
    const first = rig.start({ MQ_QUEUE: 'orders' })
    await first.logged('ready', PATIENTLY)
    expect(await first.stop()).to.equal(0)
    expect(await exchanges()).to.have.members(['orders', 'orders.dead'])
    await declareFormer()
    const others = [rig.start({ MQ_QUEUE: 'orders', MQ_EXCHANGE: 'payments' }), rig.start({ MQ_QUEUE: 'payments' })]
    for (const relay of others) await relay.logged('ready', PATIENTLY)
    for (const relay of others) expect(await relay.stop()).to.equal(0)
    for (const relay of [first, ...others]) expect(count(relay.logs)).to.equal(0)
  })
})
