import { crc32 } from 'node:zlib'
import { createWakeSignal, defined, type WakeSignal } from '@cashflow/async'
import { createDatabase, type Database } from '@cashflow/db'
import { createConnection, createConsumer, createPublisher, type Delivery, workQueue } from '@cashflow/messaging'
import {
  appendMessages,
  createFloors,
  createNotifier,
  type NewMessage,
  type OutboxMessage,
  scheduleMessages,
} from '@cashflow/outbox'
import type { Component } from '@cashflow/runtime'
import {
  aMessage,
  createTestDatabase,
  createTestVhost,
  eventually,
  query,
  recordingLogger,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayListener } from '../src/listener.ts'
import { createRelay, type RelayOptions } from '../src/relay.ts'

const isPaused = () => false

describe('relay', () => {
  let database: TestDatabase
  let vhost: TestVhost
  let db: Database
  let components: Component[]
  let received: Delivery[]
  const { lines, logger, logged } = recordingLogger()
  const topology = workQueue({ queue: 'payments', topics: ['payment.created', 'payment.retry'] })

  beforeEach(async () => {
    ;[database, vhost] = await Promise.all([createTestDatabase(), createTestVhost()])
    db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 10, logger })
    components = []
    received = []
    lines.length = 0
  })
  afterEach(async () => {
    for (const component of components.toReversed()) await component.stop()
    await db.destroy()
    await Promise.all([database.drop(), vhost.drop()])
  })

  async function run(...more: Component[]): Promise<void> {
    for (const component of more) {
      components.push(component)
      await component.start(new AbortController().signal)
    }
  }

  /** @param polls false if the relay looks at the outbox only when woken */
  async function startRelay({ listen = false, polls = true } = {}): Promise<void> {
    const connection = createConnection({ urls: [vhost.url], name: 'test relay', logger })
    const publisher = createPublisher({ connection, topology, logger })
    const floors = createFloors()
    const wake = createWakeSignal()
    const onlyWoken: WakeSignal = { ...wake, wait: ({ signal }) => wake.wait({ atMostMs: 3_600_000, signal }) }
    const waits = polls ? wake : onlyWoken
    await run(connection, publisher, createRelay({ db, publisher, isPaused, floors, wake: waits, logger, passes: 2 }))
    if (listen) await run(createRelayListener({ db, onNotify: wake.wake, onLost: floors.forget, logger }))
  }

  async function startConsumer(): Promise<void> {
    const connection = createConnection({ urls: [vhost.url], name: 'test consumer', logger })
    const handle = async (delivery: Delivery) => {
      received.push(delivery)
      return 'ack' as const
    }
    await run(connection, createConsumer({ connection, topology, queue: 'payments', prefetch: 500, handle, logger }))
  }

  function news(count: number, extra: Partial<NewMessage> = {}): NewMessage[] {
    return Array.from({ length: count }, (_, index) => {
      const fields = { key: `key ${index % 50}`, topic: 'payment.created', payload: { index } }
      return aMessage({ ...fields, headers: { 'x-request-id': `r-${index}` }, ...extra })
    })
  }
  /** Returns a key whose messages are in this lane. */
  const keyIn = (lane: number) =>
    Array.from({ length: 2_000 }, (_, index) => `key ${index}`).find((key) => crc32(key) % 32 === lane) as string
  const append = (messages: readonly NewMessage[]) => db.transaction().execute((tx) => appendMessages(tx, messages))
  const backlog = async () => {
    const { rows } = await sql<{ count: number }>`
      select (select count(*) from outbox_messages)::int + (select count(*) from outbox_scheduled)::int as count`.execute(
      db,
    )
    return rows[0]?.count
  }
  const ids = () => received.map(({ messageId }) => messageId)

  it('publishes a message with its id, topic, headers and body', async () => {
    await Promise.all([startConsumer(), startRelay()])
    const [message] = news(1)
    await append([message as NewMessage])
    await eventually(() => expect(received).to.have.length(1))
    const delivery = defined(received[0], 'delivery')
    expect(delivery).to.include({ messageId: message?.messageId, topic: 'payment.created', redelivered: false })
    expect(delivery.headers).to.deep.include({ 'x-request-id': 'r-0' })
    expect(JSON.parse(delivery.body.toString())).to.deep.equal({ index: 0 })
    await eventually(async () => expect(await backlog()).to.equal(0))
  })

  // Promise 8
  it('shares the work with other relays: each message once, each key in order', async () => {
    const messages = news(3_000)
    for (let at = 0; at < messages.length; at += 500) await append(messages.slice(at, at + 500))
    await Promise.all([startConsumer(), startRelay(), startRelay(), startRelay()])
    await eventually(async () => expect(await backlog()).to.equal(0), { timeoutMs: 90_000 })
    await eventually(() => expect(new Set(ids()).size).to.equal(3_000))
    // A relay that waited too long for a confirm or for the database logs it and publishes again.
    const again = ['messages not confirmed, they stay in the outbox', 'pass failed, its messages stay in the outbox']
    if (!lines.some(({ message }) => again.includes(message))) expect(received).to.have.length(3_000)
    const keyOf = new Map(messages.map(({ messageId, key }) => [messageId, key]))
    for (const [key, list] of Map.groupBy(new Set(ids()), (id) => keyOf.get(id ?? ''))) {
      expect(list).to.deep.equal(messages.filter((message) => message.key === key).map(({ messageId }) => messageId))
    }
  })

  it('publishes after each notification, without polling', async () => {
    await Promise.all([startConsumer(), startRelay({ listen: true, polls: false })])
    const notifier = createNotifier(db)
    for (let round = 1; round <= 15; round += 1) {
      await append(news(1))
      notifier.notify()
      await eventually(() => expect(new Set(ids()).size).to.equal(round), { intervalMs: 1 })
    }
  })

  type Answer = (topic: string) => 'confirmed' | 'nacked' | Promise<'confirmed' | 'nacked'>
  /** Starts a relay with a publisher that answers as the script says. */
  async function startScripted(answer: Answer, passes: number, wake = createWakeSignal()) {
    const calls: OutboxMessage[][] = []
    const publisher: RelayOptions['publisher'] = {
      whenReady: async () => {},
      redeclare: async () => true,
      async publish(messages) {
        calls.push([...messages])
        return Promise.all(messages.map(async ({ topic }) => ({ status: await answer(topic) })))
      },
    }
    await run(createRelay({ db, publisher, isPaused, floors: createFloors(), wake, logger, passes }))
    return calls
  }

  it('wakes further passes when there are more lanes than one pass can lock', async () => {
    const woken = createWakeSignal()
    let waiting = 0
    const wait: WakeSignal['wait'] = ({ signal }) => {
      waiting += 1
      return woken.wait({ atMostMs: 3_600_000, signal })
    }
    const third = Promise.withResolvers<void>()
    const answer = async () => {
      if (calls.length === 2) await third.promise // Another pass publishes the third batch.
      if (calls.length === 3) third.resolve()
      return 'confirmed' as const
    }
    const calls = await startScripted(answer, 4, { ...woken, wait })
    await eventually(() => expect(waiting).to.equal(4))
    await append(Array.from({ length: 32 }, (_, lane) => ({ ...defined(news(1)[0], 'message'), key: keyIn(lane) })))
    woken.wake()
    await eventually(async () => expect(await backlog()).to.equal(0))
  })

  it('visits all lanes, past those whose messages stay', async () => {
    // Refused messages fill as many lanes as a pass locks, and the rotation begins with these.
    const refused = news(8, { topic: 'refused' }).map((message, lane) => ({ ...message, key: keyIn(lane) }))
    const further = { ...defined(news(1)[0], 'message'), key: keyIn(20) }
    await append([...refused, further])
    const calls = await startScripted((topic) => (topic === 'refused' ? 'nacked' : 'confirmed'), 1)
    await eventually(() => expect(calls.flat().map(({ messageId }) => messageId)).to.include(further.messageId))
    await eventually(async () => expect(await backlog()).to.equal(8))
  })

  it('waits between its passes while messages are refused', async () => {
    await append(news(1))
    const calls = await startScripted(() => 'nacked', 1)
    const startedAt = performance.now()
    await eventually(() => expect(calls).to.have.length.above(4))
    // At least 50 ms after each pass. Without a wait there would be hundreds of passes a second.
    expect(calls.length).to.be.at.most(1 + (performance.now() - startedAt) / 45)
  })

  // Promise 10
  it('publishes scheduled messages when they are due', async () => {
    await Promise.all([startConsumer(), startRelay()])
    const [now, later] = news(2)
    await db.transaction().execute((tx) => scheduleMessages(tx, [now as NewMessage], 0))
    await db.transaction().execute((tx) => scheduleMessages(tx, [later as NewMessage], 600_000))
    await eventually(() => expect([...new Set(ids())]).to.deep.equal([now?.messageId]))
    await eventually(async () => expect(await backlog()).to.equal(1))
  })

  it('opens no transaction while the broker is away, and publishes when it is back', async () => {
    await append(news(10))
    const { name } = vhost
    await vhost.drop()
    await startRelay()
    await eventually(() => expect(logged()).to.include('waiting for RabbitMQ'))
    const { rows } = await sql<{ count: number }>`
      select count(*)::int from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`.execute(
      db,
    )
    expect(rows[0]?.count).to.equal(0)
    expect(await backlog()).to.equal(10)
    await vhost.management.request('PUT', `/vhosts/${name}`)
    await vhost.management.request('PUT', `/permissions/${name}/guest`, { configure: '.*', write: '.*', read: '.*' })
    await eventually(async () => expect(await backlog()).to.equal(0), { timeoutMs: 90_000 })
  })

  it('declares a deleted queue again, and loses none of the messages after that', async () => {
    await Promise.all([startRelay()])
    await append(news(1))
    await eventually(async () => expect(await backlog()).to.equal(0))
    await vhost.management.request('DELETE', `/queues/${vhost.name}/payments`)
    const messages = news(20)
    await append(messages)
    await eventually(async () => expect(await backlog()).to.equal(0), { timeoutMs: 90_000 })
    await startConsumer()
    await eventually(() => expect([...new Set(ids())]).to.have.members(messages.map(({ messageId }) => messageId)))
  })

  it('counts an optional message without a queue as published', async () => {
    await startRelay()
    await append(news(3, { topic: 'payment.succeeded', mandatory: false }))
    await eventually(async () => expect(await backlog()).to.equal(0))
    expect(logged()).to.not.include('message unroutable, tried again later')
  })

  // Promise 20
  it('publishes again after the database has ended all its sessions', async () => {
    await Promise.all([startConsumer(), startRelay({ listen: true })])
    await append(news(5))
    await eventually(() => expect(new Set(ids()).size).to.equal(5))
    const others = 'datname = current_database() and pid <> pg_backend_pid()'
    await query(database.url, `select pg_terminate_backend(pid) from pg_stat_activity where ${others}`)
    await eventually(() => append(news(5)))
    await eventually(() => expect(new Set(ids()).size).to.be.at.least(10))
  })
})
