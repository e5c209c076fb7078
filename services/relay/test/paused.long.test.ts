import { pause, resume } from '@cashflow/db/operator'
import { scheduleMessages } from '@cashflow/outbox'
import { eventually, OPERATOR, startTcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

const PAUSED = 'paused by an operator'
const PAUSE = { component: 'relay', reason: 'the broker moves', by: OPERATOR } as const

describe('relay processes that are paused', function () {
  this.timeout(180_000)
  let rig: RelayRig
  const cleanUps: (() => unknown)[] = []
  beforeEach(async () => {
    rig = await createRelayRig()
  })
  afterEach(async () => {
    await rig.stop()
    for (const cleanUp of cleanUps.splice(0)) await cleanUp()
  })

  const lanesLocked = async () => {
    const { rows } = await sql`select 1 from pg_locks l join pg_class c on c.oid = l.relation
      where c.relname = 'outbox_lanes' and l.mode = 'RowShareLock'
        and l.database = (select oid from pg_database where datname = current_database())`.execute(rig.db)
    return rows.length
  }
  const end = () => resume(rig.db, PAUSE)

  // Promise 100
  it('relay: two relays publish nothing during a pause, promote what is due, and say why messages wait', async () => {
    const relays = [rig.start(), rig.start()]
    await Promise.all(relays.map((relay) => relay.logged('ready', PATIENTLY)))
    await pause(rig.db, { ...PAUSE, forMs: undefined })
    await Promise.all(relays.map((relay) => relay.logged(PAUSED, { timeoutMs: 5_000 })))
    await rig.append(news(20))
    await rig.db.transaction().execute((tx) => scheduleMessages(tx, news(5), 100))
    await eventually(async () => expect(await rig.backlog()).to.equal(25))
    await sql`update outbox_messages set created_at = created_at - interval '1 minute'`.execute(rig.db)
    const waits = 'messages wait in the outbox because the relays are paused'
    for (const relay of relays)
      expect(await relay.logged(waits, PATIENTLY)).to.include({ level: 'info', place: 'lane' })
    expect(await lanesLocked()).to.equal(0)
    expect(await rig.published()).to.have.property('size', 0)
    for (const relay of relays)
      expect(relay.logs.map(({ message }) => message)).to.not.include('messages wait in the outbox')
    await end()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    await Promise.all(relays.map((relay) => relay.logged('resumed', PATIENTLY)))
    expect(await rig.published()).to.have.property('size', 25)
  })

  it('relay: one that starts during a pause publishes nothing, keeps it while PostgreSQL is away, and stops', async () => {
    const proxy = await startTcpProxy(rig.database.url)
    cleanUps.push(() => proxy.stop())
    await pause(rig.db, { ...PAUSE, forMs: undefined })
    await rig.append(news(3))
    const relay = rig.start({ DATABASE_URL: proxy.url })
    await relay.logged('ready', PATIENTLY)
    expect(relay.logs.findIndex(({ message }) => message === PAUSED)).to.be.above(-1)
    proxy.cut()
    await relay.logged('pauses cannot be read, the last state is kept', PATIENTLY)
    proxy.restore()
    await relay.logged('pauses can be read again', PATIENTLY)
    expect(await rig.backlog()).to.equal(3)
    expect(await relay.stop()).to.equal(0)
    expect(await rig.backlog()).to.equal(3)
  })

  it('relay: publishes nothing when RabbitMQ comes back during a pause that began while it was away', async () => {
    const proxy = await startTcpProxy(rig.vhost.url)
    cleanUps.push(() => proxy.stop())
    const relay = rig.start({ RABBITMQ_URL: proxy.url })
    await relay.logged('ready', PATIENTLY)
    proxy.cut()
    await relay.logged('lost the connection to RabbitMQ', PATIENTLY)
    await rig.append(news(3))
    await pause(rig.db, { ...PAUSE, forMs: undefined })
    await relay.logged(PAUSED, { timeoutMs: 5_000 })
    proxy.restore()
    const connected = () => relay.logs.filter(({ message }) => message === 'connected to RabbitMQ')
    await eventually(() => expect(connected()).to.have.length(2), PATIENTLY)
    await rig.db.transaction().execute((tx) => scheduleMessages(tx, news(1), 1_000))
    await eventually(async () => expect(await rig.backlog()).to.equal(4), PATIENTLY)
    await end()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
  })
})
