import { defined } from '@cashflow/async'
import { createDatabase, type Tables } from '@cashflow/db'
import { appendMessages, createFloors, type NewMessage } from '@cashflow/outbox'
import type { Component } from '@cashflow/runtime'
import {
  createTestDatabase,
  createUnreadableRows,
  eventually,
  openClient,
  recordingLogger,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createBacklogWatch } from '../src/backlog-watch.ts'
import { news } from './relay-rig.ts'

const WAIT = 'messages wait in the outbox'
const LOCKED = 'another session has locked lanes, their messages wait'
const UNSEEN = 'could not check the outbox for waiting messages'

describe('backlog watch', () => {
  let database: TestDatabase
  let db: Kysely<Tables>
  let admin: Kysely<Tables>
  let operator: Awaited<ReturnType<typeof openClient>>
  let watch: Component
  const { lines, logger, linesOf } = recordingLogger()
  const logged = (message: string) =>
    eventually(() => {
      const found = linesOf(message)
      expect(found, JSON.stringify(lines)).to.have.length.above(0)
      return defined(found[0], 'line of the log')
    })
  const count = (message: string) => linesOf(message).length

  beforeEach(async () => {
    database = await createTestDatabase()
    lines.length = 0
    db = createDatabase({ url: database.url, applicationName: 'cashflow-relay', poolMax: 2, logger })
    admin = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger })
    operator = await openClient(database.url, { application_name: 'psql of an operator' })
  })
  afterEach(async () => {
    await watch.stop()
    await operator.end()
    await db.destroy()
    await admin.destroy()
    await database.drop()
  })

  async function start({ ready = true, longMs = 10_000, isPaused = (): boolean => false } = {}): Promise<void> {
    const publisher = { ready }
    watch = createBacklogWatch({ db, publisher, floors: createFloors(), isPaused, logger, lookMs: 50, longMs })
    await watch.start(new AbortController().signal)
  }
  async function connectAs(url: string): Promise<void> {
    await db.destroy()
    db = createDatabase({ url, applicationName: 'cashflow-relay', poolMax: 2, logger })
  }
  const append = async (messages: readonly NewMessage[], ageS: number) => {
    await admin.transaction().execute((tx) => appendMessages(tx, messages))
    await sql`update outbox_messages set created_at = created_at - ${ageS} * interval '1 second'`.execute(admin)
  }
  const laneOf = async (table: string) => {
    const { rows } = await sql<{ lane: number }>`select lane from ${sql.table(table)} limit 1`.execute(admin)
    return rows[0]?.lane
  }

  // Promise 63
  it('warns once a minute of a message that has waited over 10 seconds, and logs when none does', async () => {
    await append(news(2), 9)
    await start({ ready: false })
    const line = await logged(WAIT)
    expect(line).to.deep.include({ level: 'warn' })
    expect(line.fields).to.include({ topic: 'payment.created', place: 'lane', broker_ready: false })
    expect(line.fields.lag_ms).to.be.within(10_000, 60_000)
    await sql`delete from outbox_messages`.execute(admin)
    expect((await logged('messages no longer wait in the outbox')).level).to.equal('info')
    expect(count(WAIT)).to.equal(1)
  })

  it('warns of a scheduled message that is past due, and of a message whose topic is refused', async () => {
    const insert = (topic: string, dueS: number, refused: boolean) =>
      sql`insert into outbox_scheduled (lane, message_id, key, topic, payload, created_at, due_at, refused) values
        (7, gen_random_uuid(), 'k', ${topic}, '{}', now() - interval '1 hour', now() + ${dueS} * interval '1 second',
          ${refused})`.execute(admin)
    await insert('later', 3_600, false)
    await start()
    await insert('due', -20, false)
    expect((await logged(WAIT)).fields).to.include({ lane: 7, topic: 'due', place: 'scheduled' })
    await watch.stop()
    lines.length = 0
    await insert('kept', 3_600, true)
    await start()
    expect((await logged(WAIT)).fields).to.include({ lane: 7, topic: 'kept', place: 'refused' })
  })

  // Promise 63
  it('names the session that has locked lanes for long, and the lanes', async () => {
    await append(news(1), 3_600)
    const lane = await laneOf('outbox_messages')
    await operator.query('begin')
    await operator.query('select * from outbox_lanes where lane = $1 for update', [lane])
    await start({ longMs: 500 })
    const line = await logged(LOCKED)
    const { rows } = await operator.query('select pg_backend_pid() as pid')
    expect(line.level).to.equal('warn')
    expect(line.fields).to.deep.include({
      pid: rows[0].pid,
      application_name: 'psql of an operator',
      lanes: [lane],
      sessions: 1,
    })
    expect(line.fields.held_ms).to.be.within(500, 60_000)
    expect((await logged(WAIT)).fields).to.include({ lane, place: 'lane' })
    await operator.query('rollback')
    await logged('no other session has locked lanes any more')
    expect(count(LOCKED)).to.equal(1)
  }).timeout(60_000)

  it('names the session that has locked the table of lanes', async () => {
    await operator.query('begin')
    await operator.query('lock table outbox_lanes in access exclusive mode')
    await start({ longMs: 500 })
    const { fields } = await logged(LOCKED)
    expect(fields).to.include({ application_name: 'psql of an operator', lanes: 'all' })
    await operator.query('rollback')
    await logged('no other session has locked lanes any more')
  }).timeout(60_000)

  it('logs how long it has seen the lock of a session whose age it may not read', async () => {
    const stranger = await createUnreadableRows(database.url, { table: 'outbox_messages', condition: 'false' })
    await connectAs(stranger.url)
    try {
      await operator.query('begin')
      await operator.query('select * from outbox_lanes for update')
      await start({ longMs: 500 })
      const { fields } = await logged(LOCKED)
      expect(fields).to.include({ application_name: 'psql of an operator' })
      expect(fields.lanes).to.have.length(32)
      expect(fields.held_ms).to.be.within(500, 60_000)
    } finally {
      await watch.stop()
      await db.destroy()
      await operator.query('rollback')
      await stranger.drop()
    }
  })

  it('names no session that holds a lane as briefly as a pass does, or that reads the table', async () => {
    await operator.query('begin')
    await operator.query('select * from outbox_lanes')
    await start()
    await append(news(1), 3_600)
    await logged(WAIT)
    expect(count(LOCKED)).to.equal(0)
    await operator.query('rollback')
  })

  // Promise 63
  it('checks all lanes but the one that cannot be read, and names that one', async () => {
    await append([...news(40, { key: 'k' }), ...news(40, { topic: 'other' })], 3_600)
    const { rows } = await sql<{ lane: number }>`select lane from outbox_messages where key = 'k' limit 1`.execute(
      admin,
    )
    const lane = rows[0]?.lane
    const unreadable = await createUnreadableRows(database.url, {
      table: 'outbox_messages',
      condition: `lane = ${lane}`,
    })
    await connectAs(unreadable.url)
    try {
      await start()
      const unseen = await logged(UNSEEN)
      expect(unseen.fields).to.deep.include({ lanes: [lane] })
      expect(String(unseen.fields.error)).to.contain('invalid page in block 0')
      expect((await logged(WAIT)).fields).to.include({ topic: 'other', place: 'lane' })
      await unreadable.heal()
      await logged('the outbox can be checked again')
    } finally {
      await watch.stop()
      await db.destroy()
      await unreadable.drop()
    }
  }).timeout(60_000)

  it('relay: warns of no old message and no locked lane during a pause, and of both after it', async () => {
    let isPaused = true
    await append(news(1), 60)
    await operator.query('begin; lock table outbox_lanes')
    await start({ longMs: 1, isPaused: () => isPaused })
    const held = await logged('messages wait in the outbox because the relays are paused')
    expect(held).to.deep.include({ level: 'info' })
    expect(held.fields).to.include({ topic: 'payment.created', place: 'lane' })
    expect([count(WAIT), count(LOCKED)]).to.deep.equal([0, 0])
    isPaused = false
    await Promise.all([logged(WAIT), logged(LOCKED), logged('the relays publish again, no pause is in force')])
  })

  it('logs once a minute that it cannot check the outbox while the database is away, and goes on', async () => {
    const away = createDatabase({ url: 'postgres://u:p@127.0.0.1:1/x', applicationName: 'test', poolMax: 1, logger })
    watch = createBacklogWatch({
      db: away,
      publisher: { ready: true },
      floors: createFloors(),
      isPaused: () => false,
      logger,
      lookMs: 1,
    })
    await watch.start(new AbortController().signal)
    const { fields } = await logged(UNSEEN)
    expect(fields.error).to.be.an('error')
    await watch.stop()
    await away.destroy()
    expect(count(UNSEEN)).to.equal(1)
    expect(count('messages no longer wait in the outbox')).to.equal(0)
  })
})
