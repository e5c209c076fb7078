import { randomBytes } from 'node:crypto'
import { eventually, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayRig, news, type RelayRig } from './relay-rig.ts'

const GIVEN_UP_WITHIN_MS = 8_000

describe('a relay process that freezes', () => {
  let rig: RelayRig
  let proxies: TcpProxy[]
  beforeEach(async () => {
    rig = await createRelayRig()
    proxies = []
  })
  afterEach(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()))
    await rig.stop()
  })

  async function proxied(url: string): Promise<TcpProxy> {
    const proxy = await startTcpProxy(url)
    proxies.push(proxy)
    return proxy
  }

  const lanesHeld = async () => {
    const { rows } = await sql<{ lane: number }>`select lane from outbox_lanes for update skip locked`.execute(rig.db)
    return 32 - rows.length
  }

  /** What the session waits for that has a transaction. */
  const sessionWaits = async () => {
    const { rows } = await sql<{ wait: string }>`select wait_event as wait from pg_stat_activity
      where datname = current_database() and application_name = 'cashflow-relay' and state = 'active'`.execute(rig.db)
    return rows[0]?.wait
  }

  /** Freezes the relay, which holds lanes, until it has lost them. Returns how long that took. */
  async function freeze(relay: { kill(signal: NodeJS.Signals): void }): Promise<number> {
    relay.kill('SIGSTOP')
    const at = performance.now()
    expect(await lanesHeld()).to.be.above(0)
    await eventually(async () => expect(await lanesHeld()).to.equal(0), { timeoutMs: 12_000 })
    return performance.now() - at
  }

  /** What another relay takes over, and what the frozen one does when it wakes, loses nothing. */
  async function takeOver(messages: ReturnType<typeof news>, frozen: { kill(signal: NodeJS.Signals): void }) {
    rig.start()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), { timeoutMs: 15_000 })
    for (const proxy of proxies) proxy.restore()
    frozen.kill('SIGCONT')
    const later = news(20)
    await rig.append(later)
    await eventually(async () => expect(await rig.backlog()).to.equal(0), { timeoutMs: 20_000 })
    const published = await rig.published()
    for (const { messageId } of [...messages, ...later]) expect(published.has(messageId)).to.equal(true)
  }

  it('gives its lanes up before it has published', async () => {
    const messages = news(40)
    await rig.append(messages)
    const database = await proxied(rig.database.url)
    database.holdAnswerTo('from outbox_lanes')
    const relay = rig.start({ DATABASE_URL: database.url, RELAY_PASSES: '1' })
    await eventually(async () => expect(await lanesHeld()).to.be.above(0))
    expect(await freeze(relay)).to.be.below(GIVEN_UP_WITHIN_MS)
    await takeOver(messages, relay)
  }).timeout(180_000)

  it('gives its lanes up while it waits for confirms', async () => {
    const broker = await proxied(rig.vhost.url)
    const relay = rig.start({ RABBITMQ_URL: broker.url })
    await rig.append(news(1))
    await relay.logged('ready')
    await eventually(async () => expect(await rig.backlog()).to.equal(0))
    broker.holdAnswers()
    const messages = news(40)
    await rig.append(messages)
    await eventually(async () => expect((await rig.published()).size).to.be.above(1))
    expect(await freeze(relay)).to.be.below(GIVEN_UP_WITHIN_MS)
    await takeOver(messages, relay)
  }).timeout(180_000)

  it('gives its lanes up while it receives a large result', async () => {
    // What append lets through fits into the buffers of both kernels, where PostgreSQL does not notice who reads it.
    const messages = news(10, { key: 'k' })
    await rig.append(messages)
    await sql`update outbox_messages set payload = to_jsonb(${randomBytes(7_000_000).toString('base64')}::text)
      where message_id = ${messages[0]?.messageId}`.execute(rig.db)
    const database = await proxied(rig.database.url)
    database.holdAnswerTo('octet_length(whole)')
    const relay = rig.start({ DATABASE_URL: database.url, RELAY_PASSES: '1' })
    await eventually(async () => expect(await sessionWaits()).to.equal('ClientWrite'), { timeoutMs: 20_000 })
    expect(await freeze(relay)).to.be.below(GIVEN_UP_WITHIN_MS)
    await takeOver(messages, relay)
  }).timeout(180_000)
})
