import { randomUUID } from 'node:crypto'
import { createWakeSignal } from '@cashflow/async'
import { createDatabase, type Database } from '@cashflow/db'
import {
  createConnection,
  createConsumer,
  createPublisher,
  type Delivery,
  type Topology,
  workQueue,
} from '@cashflow/messaging'
import { appendMessages, createFloors, createNotifier, type NewMessage } from '@cashflow/outbox'
import type { Component } from '@cashflow/runtime'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  recordingLogger,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayListener } from '../src/listener.ts'
import { createRelay, type RelayOptions } from '../src/relay.ts'
import { type Recipe, readRecipe } from './recipe.ts'
import { news, PATIENTLY } from './relay-rig.ts'

const REFUSED_MAX_MS = 500
const PAYMENTS = workQueue({ queue: 'payments', topics: ['payment.created', 'payment.retry'] })

describe('relay with a topic that was added as docs/extending.md says', () => {
  let recipe: Recipe
  let database: TestDatabase
  let vhost: TestVhost
  let db: Database
  let parts: Component[]
  let received: { delivery: Delivery; at: number }[]
  /** How many receipts relays have tried to publish. */
  let tries: number
  const { lines, logger, linesOf } = recordingLogger()

  before(async () => {
    recipe = await readRecipe()
  })
  beforeEach(async () => {
    ;[database, vhost] = await Promise.all([createTestDatabase(), createTestVhost()])
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 20, logger })
    parts = []
    received = []
    tries = 0
    lines.length = 0
    await limitTo(5)
    await fill()
  })
  afterEach(async () => {
    for (const part of parts.toReversed()) await part.stop()
    await db.destroy()
    await Promise.all([database.drop(), vhost.drop()])
  })

  async function run(...more: Component[]): Promise<void> {
    for (const part of more) {
      parts.push(part)
      await part.start(new AbortController().signal)
    }
  }

  function policy(method: 'PUT' | 'DELETE', definition?: object): Promise<unknown> {
    const body = definition && { pattern: `^${recipe.topology.queue}$`, 'apply-to': 'queues', definition }
    return vhost.management.request(method, `/policies/${vhost.name}/short`, body)
  }
  const limitTo = (length: number) => policy('PUT', { 'max-length': length })

  /** Until its queue is full, and RabbitMQ says so. */
  async function fill(): Promise<void> {
    const connection = createConnection({ urls: [vhost.url], name: 'test filler', logger })
    const publisher = createPublisher({ connection, topology: recipe.topology, logger })
    await connection.start()
    await publisher.start()
    await publisher.whenReady()
    const { topic } = receipt('filler')
    const filler = { messageId: randomUUID(), key: 'filler', topic, body: '{}', headers: {}, mandatory: true }
    await eventually(async () => {
      const outcomes = await publisher.publish([{ ...filler, createdAt: new Date() }], { deadlineMs: 5_000 })
      expect(outcomes.map(({ status }) => status)).to.deep.equal(['nacked'])
    }, PATIENTLY)
    await publisher.stop()
    await connection.stop()
  }

  async function startRelay(): Promise<void> {
    const connection = createConnection({ urls: [vhost.url], name: 'test relay', logger })
    const publisher = createPublisher({
      connection,
      topology: PAYMENTS,
      logger,
      windowMax: 2_048,
      refusedMaxMs: REFUSED_MAX_MS,
    })
    const floors = createFloors()
    const wake = createWakeSignal()
    const listen = { db, onNotify: wake.wake, onLost: floors.forget, logger }
    await run(connection, publisher, createRelayListener(listen))
    await publisher.whenReady()
    const counting: RelayOptions['publisher'] = {
      whenReady: publisher.whenReady,
      redeclare: publisher.redeclare,
      publish(messages, options) {
        tries += messages.filter(({ topic }) => topic === receipt('any').topic).length
        return publisher.publish(messages, options)
      },
    }
    await run(createRelay({ db, publisher: counting, isPaused: () => false, floors, wake, logger, passes: 2 }))
  }

  async function consume(topology: Topology): Promise<void> {
    const connection = createConnection({ urls: [vhost.url], name: 'test consumer', logger })
    const handle = async (delivery: Delivery) => {
      received.push({ delivery, at: performance.now() })
      return 'ack' as const
    }
    const consumer = createConsumer({ connection, topology, queue: topology.queue, prefetch: 500, handle, logger })
    await run(connection, consumer)
  }

  function receipt(paymentId: string): NewMessage {
    const message = recipe.messagesOf(paymentId).find(({ topic }) => topic !== 'payment.succeeded')
    if (!message) throw new Error('docs/extending.md appends no receipt')
    return message
  }
  const receipts = (count: number) => Array.from({ length: count }, () => receipt(randomUUID()))
  async function append(messages: readonly NewMessage[]): Promise<void> {
    for (let at = 0; at < messages.length; at += 500)
      await db.transaction().execute((tx) => appendMessages(tx, messages.slice(at, at + 500)))
    createNotifier(db).notify()
  }
  const count = async (table: 'outbox_messages' | 'outbox_scheduled') =>
    (await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table)}`.execute(db)).rows[0]?.count
  const idsOf = (messages: readonly NewMessage[]) => new Set(messages.map(({ messageId }) => messageId))

  /** @returns when the last of them came */
  async function arrived(messages: readonly NewMessage[]): Promise<number> {
    const missing = idsOf(messages)
    return eventually(() => {
      for (const { delivery } of received) missing.delete(delivery.messageId ?? '')
      expect(missing.size).to.equal(0)
      return Math.max(...received.map(({ at }) => at))
    }, PATIENTLY)
  }

  /** Within 2 seconds; where the machine has other things to do, as many times that as it makes of others. */
  async function soon(from: number, to: number): Promise<void> {
    const tookMs = to - from
    if (tookMs >= 500) console.log(`      payments were published in ${Math.round(tookMs)} ms`)
    if (tookMs < 2_000) return
    const others = news(154)
    const startedAt = performance.now()
    await append(others)
    expect(tookMs).to.be.below(20 * ((await arrived(others)) - startedAt))
  }

  for (const relays of [1, 2]) {
    // Promise 35
    it(`delays no payment while the queue of an added topic is full: 154 behind 6,000 refused receipts, ${relays} relays`, async () => {
      await consume(PAYMENTS)
      const payments = news(154)
      await append(receipts(6_000))
      await append(payments)
      const startedAt = performance.now()
      for (let relay = 0; relay < relays; relay += 1) await startRelay()
      await soon(startedAt, await arrived(payments))
      const { rows } = await sql<{ attempts: number }>`
        select distinct attempts from outbox_messages union select distinct attempts from outbox_scheduled`.execute(db)
      expect(rows).to.deep.equal([{ attempts: 0 }])
      expect(await sql`select from dead_letters`.execute(db).then((found) => found.rows)).to.deep.equal([])
    }).timeout(180_000)
  }

  // Promise 35
  it('delays no payment that comes when nothing but refused receipts of an added topic was tried for a while', async () => {
    await consume(PAYMENTS)
    const all = receipts(6_000)
    await append(all)
    await startRelay()
    // The broker may be full as a whole: they stay.
    await eventually(() => expect(linesOf('messages refused, tried again later')).to.have.length.above(5), PATIENTLY)
    expect(await count('outbox_messages')).to.equal(6_000)
    for (let round = 0; round < 20; round += 1) {
      const [payment] = news(1, { key: `key ${round}` }) as [NewMessage]
      await append([payment])
      const appendedAt = performance.now()
      await soon(appendedAt, await arrived([payment]))
    }
  }).timeout(180_000)

  // Promise 35
  it('publishes all messages of an added topic soon after its queue has room, and tries them seldom until then', async () => {
    await consume(PAYMENTS)
    const all = receipts(2_000)
    await append(all)
    await startRelay()
    await append(news(1))
    await eventually(async () => expect(await count('outbox_messages')).to.equal(0), PATIENTLY)
    expect(await count('outbox_scheduled')).to.equal(2_000)
    const [triesBefore, from] = [tries, performance.now()]
    await eventually(() => expect(tries).to.be.above(triesBefore + 128), PATIENTLY)
    // 128 after a wait of 1 s, and of 2 s, and so on.
    expect(performance.now() - from).to.be.above(1_000)
    expect(tries - triesBefore).to.be.at.most(3 * 128)
    await policy('DELETE')
    const roomAt = performance.now()
    await consume(recipe.topology)
    console.log(`      2,000 receipts were published in ${Math.round((await arrived(all)) - roomAt)} ms`)
    await eventually(async () => expect(await count('outbox_scheduled')).to.equal(0))
    expect(linesOf('topic refused').map(({ fields }) => fields.topic)).to.deep.equal(['receipt.requested'])
    expect(linesOf('topic accepted again').map(({ fields }) => fields.topic)).to.deep.equal(['receipt.requested'])
  }).timeout(180_000)
})
