import { defined } from '@cashflow/async'
import type { NewMessage } from '@cashflow/outbox'
import { eventually, type ServiceProcess } from '@cashflow/testing'
import { expect } from 'chai'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

/** A payment next to a culprit waits for seconds, not minutes. */
const DELAY_MS_MAX = 30_000
const BURIED = 'message not publishable, now a dead letter'

describe('relay with a message that closes its channel', () => {
  let rig: RelayRig
  beforeEach(async () => {
    rig = await createRelayRig()
  })
  afterEach(() => rig.stop())

  /** A message whose CC header is no array: RabbitMQ's sender-selected distribution refuses it. */
  const culprit = (extra: Partial<NewMessage> = {}) =>
    defined(news(1, { headers: { CC: 'audit' }, ...extra })[0], 'message')
  const idsOf = (messages: readonly NewMessage[]) => messages.map(({ messageId }) => messageId)
  const letters = () =>
    rig.db.selectFrom('dead_letters').select(['message_id', 'source', 'reason']).orderBy('id').execute()
  const buried = async () => (await letters()).map((letter) => letter.message_id)
  const drained = () => eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
  const publishes = async (messages: readonly NewMessage[]) =>
    eventually(async () => expect(await rig.published()).to.include.all.keys(idsOf(messages)), {
      ...PATIENTLY,
      intervalMs: 200,
    })

  for (const relays of [1, 2]) {
    // Promises 9, 33
    it(`makes a message that closes the channel one dead letter with RabbitMQ’s reason, and delays payments by seconds, with ${relays} relays`, async () => {
      const running = Array.from({ length: relays }, () => rig.start())
      await rig.append(news(1))
      await drained()
      const bad = culprit({ key: 'bad' })
      const around = news(100)
      await rig.append([...around.slice(0, 50), bad, ...around.slice(50)])
      const payments: NewMessage[] = []
      const startedAt = performance.now()
      while (!(await buried()).includes(bad.messageId)) {
        const [payment] = news(1, { key: `payment ${payments.length}` })
        payments.push(payment as NewMessage)
        await rig.append([payment as NewMessage])
        expect(performance.now() - startedAt, 'until it is a dead letter').to.be.below(DELAY_MS_MAX)
      }
      await drained()
      expect(performance.now() - startedAt, 'until all others are published').to.be.below(DELAY_MS_MAX)
      await publishes([...around, ...payments])
      const [letter, ...others] = await letters()
      expect(others).to.deep.equal([])
      expect(letter).to.include({ source: 'outbox', message_id: bad.messageId })
      expect(letter?.reason).to.match(/406 .*unacceptable_type_in_header,"CC"/)
      const logged = running.flatMap(({ logs }) => logs).filter(({ message }) => message === BURIED)
      expect(logged).to.have.length(1)
      expect(logged[0]).to.include({ message_id: bad.messageId, key: 'bad', topic: 'payment.created' })
    }).timeout(180_000)
  }

  // Promise 33
  it('keeps a message that closes the channel while it is alone in the outbox, and buries it when another message is confirmed', async () => {
    const relay = rig.start()
    const bad = culprit()
    await rig.append([bad])
    const named = await relay.logged(
      'RabbitMQ refused this message, it is kept until another message is confirmed',
      PATIENTLY,
    )
    expect(named).to.include({ message_id: bad.messageId, key: bad.key, topic: bad.topic })
    await eventually(() => expect(timesLost(relay)).to.be.above(4), PATIENTLY)
    expect([await rig.backlog(), await letters()]).to.deep.equal([1, []])
    const [neighbour] = news(1, { key: 'another' })
    await rig.append([neighbour as NewMessage])
    await drained()
    await publishes([neighbour as NewMessage])
    expect(await buried()).to.deep.equal([bad.messageId])
  }).timeout(180_000)
  const timesLost = ({ logs }: ServiceProcess) =>
    logs.filter(({ message }) => message === 'lost a RabbitMQ channel').length

  // Promise 33
  it('buries only the messages that close the channel, among others of their kind and key, whose order is kept', async () => {
    const heads = Array.from({ length: 20 }, (_, index) => culprit({ key: `key ${index}` }))
    const behind = news(500)
    const twice = [
      culprit({ key: 'twice' }),
      ...news(2, { key: 'twice' }),
      culprit({ key: 'twice', topic: 'payment.retry' }),
    ]
    const last = news(3, { key: 'twice' })
    await rig.append([...heads, ...behind.slice(0, 250), ...twice, ...behind.slice(250), ...last])
    rig.start()
    rig.start()
    await drained()
    const bad = [...heads, ...twice].filter(({ headers }) => headers)
    expect(await buried()).to.have.members(idsOf(bad))
    const good = [...behind, ...twice.slice(1, 3), ...last]
    // Taken once, without requeue: a requeued message loses its place.
    const taken = { count: 100_000, ackmode: 'ack_requeue_false', encoding: 'auto', truncate: 1 }
    const path = `/queues/${rig.vhost.name}/payments/get`
    const got = (await rig.vhost.management.request('POST', path, taken)) as { properties: { message_id: string } }[]
    const published = [...new Set(got.map(({ properties }) => properties.message_id))]
    expect(published).to.have.members(idsOf(good))
    for (const [key, messages] of Map.groupBy(good, (message) => message.key)) {
      const own = new Set(idsOf(messages))
      expect(
        published.filter((id) => own.has(id)),
        key,
      ).to.deep.equal([...own])
    }
  }).timeout(180_000)

  it('reschedules a message that closes the channel while a dead letter of its key and topic is unresolved, and publishes later messages', async () => {
    const [first, second] = [culprit({ key: 'k' }), culprit({ key: 'k' })]
    const behind = news(20, { key: 'k' })
    await rig.append([first, second, ...behind, ...news(5)])
    rig.start()
    await drained()
    await publishes(behind)
    expect(await buried()).to.deep.equal([first.messageId])
    const waiting = await rig.db.selectFrom('outbox_scheduled').select('message_id').execute()
    expect(waiting).to.deep.equal([{ message_id: second.messageId }])
  }).timeout(180_000)
})

describe('relay whose channel closes for a reason that no message caused', () => {
  let rig: RelayRig
  beforeEach(async () => {
    rig = await createRelayRig()
  })
  afterEach(() => rig.stop())

  const manage = (method: string, path: string, body?: unknown) => rig.vhost.management.request(method, path, body)
  const deadLetters = () => rig.db.selectFrom('dead_letters').select('reason').execute()
  const logged = (relay: ServiceProcess, text: RegExp) =>
    relay.logs.filter((line) => text.test(`${line.message} ${line.reason}`)).length

  async function allArrive(messages: readonly NewMessage[]): Promise<void> {
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    await eventually(async () => {
      const published = await rig.published()
      expect(messages.filter(({ messageId }) => !published.has(messageId))).to.deep.equal([])
    }, PATIENTLY)
    expect(await deadLetters()).to.deep.equal([])
  }

  // Promise 34
  it('buries no message and publishes all when the exchange is deleted while 500 messages wait', async () => {
    const relay = rig.start()
    await rig.append(news(1))
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const messages: NewMessage[] = []
    await eventually(
      async () => {
        await manage('DELETE', `/exchanges/${rig.vhost.name}/payments`)
        const more = news(500)
        messages.push(...more)
        await rig.append(more)
        expect(logged(relay, /404 /)).to.be.above(1)
      },
      { ...PATIENTLY, intervalMs: 500 },
    )
    await allArrive(messages)
  }).timeout(180_000)

  // Promise 34
  it('buries no message and publishes all when RabbitMQ rights are revoked while 500 messages wait, and granted again', async () => {
    const relay = rig.start()
    await rig.append(news(1))
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const login = decodeURIComponent(new URL(rig.vhost.url).username)
    const permit = (write: string) =>
      manage('PUT', `/permissions/${rig.vhost.name}/${login}`, { configure: '.*', write, read: '.*' })
    await permit('')
    const messages: NewMessage[] = []
    // RabbitMQ checks the rights of an idle channel again after a while.
    await eventually(
      async () => {
        const more = news(500)
        messages.push(...more)
        await rig.append(more)
        expect(logged(relay, /403 /)).to.be.above(1)
      },
      { ...PATIENTLY, intervalMs: 3_000 },
    )
    expect(await rig.backlog()).to.be.at.least(500)
    await permit('.*')
    await allArrive(messages)
  }).timeout(180_000)
})
