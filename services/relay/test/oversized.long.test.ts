import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RabbitmqServer, startRabbitmq } from '@cashflow/dev-stack'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

describe('relay before a broker that takes smaller messages than the outbox', () => {
  let dir: string
  let broker: RabbitmqServer
  let rig: RelayRig
  before(async function () {
    this.timeout(180_000)
    dir = await mkdtemp(join(tmpdir(), 'cashflow-relay-'))
    broker = await startRabbitmq({ dir })
    await broker.ctl('eval', 'application:set_env(rabbit, max_message_size, 1000).')
    rig = await createRelayRig({ amqpUrl: broker.url, managementUrl: broker.managementUrl })
  })
  after(async function () {
    this.timeout(180_000)
    await rig?.stop()
    await broker?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  // Promise 9
  it('publishes the messages that the broker takes, and makes larger ones dead letters', async () => {
    const large = news(3).map((message, index) => ({ ...message, key: `large ${index}`, payload: 'x'.repeat(2_000) }))
    const small = news(40)
    await rig.append([...small.slice(0, 20), ...large, ...small.slice(20)])
    rig.start()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const published = await rig.published()
    expect([...published]).to.have.members(small.map(({ messageId }) => messageId))
    const dead = await rig.db.selectFrom('dead_letters').select(['message_id', 'source', 'reason']).execute()
    const reason = '2002 bytes, RabbitMQ accepts 1000'
    expect(dead).to.have.deep.members(large.map((it) => ({ message_id: it.messageId, source: 'outbox', reason })))
  }).timeout(180_000)
})
