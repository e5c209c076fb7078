import {
  createUnreadableRows,
  eventually,
  nullLogger,
  OPERATOR,
  openClient,
  query,
  recordingLogger,
  startTcpProxy,
  type UnreadableRows,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase, createPauseWatch, type PauseWatch } from '../../src/index.ts'
import { type NewPause, pause, readPauses, resume } from '../../src/pauses/pauses.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const PAUSED = 'paused by an operator'
const RESUMED = 'resumed'
const BOB = { actor: 'bob@ops', via: 'test' }
const UNREAD = 'pauses cannot be read, the last state is kept'

describe('pauses', () => {
  let store: TestStore
  const cleanUps: (() => unknown)[] = []
  beforeEach(async () => {
    store = await createTestStore(4)
  })
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
    await store.drop()
  })

  const set = async (more: Partial<NewPause> = {}) => {
    const made = { component: 'worker', reason: 'the provider moves', by: OPERATOR, forMs: undefined } as const
    const result = await pause(store.db, { ...made, ...more })
    if (!result.done) throw new Error(result.why)
    return result.pause
  }
  const end = (reason?: string) => resume(store.db, { component: 'worker', reason, by: BOB })

  async function follow(url = store.database.url) {
    const { logger, linesOf } = recordingLogger()
    const db = createDatabase({ url, applicationName: 'test', poolMax: 2, logger })
    const watch = createPauseWatch({ db, own: 'worker', logger, lookMs: 50 })
    await watch.start(new AbortController().signal)
    cleanUps.push(
      () => db.destroy(),
      () => watch.stop(),
    )
    return { watch, linesOf }
  }
  const isPaused = (watch: PauseWatch, expected: boolean) =>
    eventually(() => expect(watch.inForce('worker') !== undefined).to.equal(expected))

  it('pause: a second pause replaces the reason, the operator and the end of the first', async () => {
    await set({ forMs: 60_000 })
    const replaced = await set({ reason: 'another reason', by: BOB })
    expect(replaced).to.include({ reason: 'another reason', pausedBy: 'bob@ops', until: null })
    expect(await readPauses(store.db)).to.have.length(1)
  })

  it('pause, resume: are refused, and change nothing, while another session has locked the table', async () => {
    const other = await openClient(store.database.url)
    cleanUps.push(() => other.end())
    await other.query('begin; lock table pauses in exclusive mode')
    const why = 'Another session has locked it, such as that of a worker or of another operator. Try again.'
    const made = { component: 'worker', reason: 'x', by: OPERATOR, forMs: undefined } as const
    expect(await pause(store.db, made)).to.deep.equal({ done: false, why })
    expect(await end()).to.deep.equal({ done: false, why })
    await other.query('rollback')
    expect(await readPauses(store.db)).to.deep.equal([])
  })

  it('pause: ends by the clock of PostgreSQL, without a process', async () => {
    await set({ forMs: 60_000 })
    const [before] = await readPauses(store.db)
    expect(before).to.include({ isInForce: true })
    expect(before?.leftMs).to.be.within(30_000, 60_000)
    await sql`update pauses set paused_until = clock_timestamp()`.execute(store.db)
    expect((await readPauses(store.db))[0]).to.include({ isInForce: false })
    expect(await end()).to.deep.equal({ done: false, why: 'The worker is not paused.' })
  })

  it('resume: ends a pause once, and says when nothing is paused', async () => {
    const refused = { done: false, why: 'The worker is not paused.' }
    expect(await end()).to.deep.equal(refused)
    await set()
    expect(await resume(store.db, { component: 'relay', reason: undefined, by: BOB })).to.include({ done: false })
    expect(await end('it has moved')).to.deep.include({ done: true })
    expect(await end()).to.deep.equal(refused)
  })

  it('pause watch: logs who paused and resumed, why, and until when, once each', async () => {
    const { watch, linesOf } = await follow()
    const { until } = await set({ forMs: 60_000 })
    await isPaused(watch, true)
    expect(linesOf(PAUSED)).to.deep.equal([
      { level: 'warn', message: PAUSED, fields: { by: 'ann@ops', reason: 'the provider moves', until } },
    ])
    await set({ component: 'relay' })
    await eventually(() => expect(watch.inForce('relay'), 'a later look').to.not.equal(undefined))
    await set({ reason: 'it takes longer' })
    await eventually(() => expect(watch.inForce('worker')).to.include({ reason: 'it takes longer', until: null }))
    expect(linesOf(PAUSED).map(({ fields }) => fields.until)).to.deep.equal([until, 'resumed'])
    expect(linesOf(RESUMED)).to.deep.equal([])
    await end('it has moved')
    await isPaused(watch, false)
    const who = { by: 'ann@ops', resumed_by: 'bob@ops', resume_reason: 'it has moved' }
    expect(linesOf(RESUMED)[0]?.fields).to.include(who)
  })

  it('pause watch: knows a pause as soon as it has started, and those of other components', async () => {
    await set()
    const { watch, linesOf } = await follow()
    expect(watch.inForce('worker')).to.include({ reason: 'the provider moves' })
    await set({ component: 'relay' })
    await end()
    await isPaused(watch, false)
    await eventually(() => expect(watch.inForce('relay')).to.include({ component: 'relay' }))
    expect(watch.isAny()).to.equal(true)
    expect(linesOf(PAUSED)).to.have.length(1)
  })

  it('pause watch: keeps a pause, and the absence of one, while PostgreSQL is away', async () => {
    const proxy = await startTcpProxy(store.database.url)
    cleanUps.push(() => proxy.stop())
    const { watch, linesOf } = await follow(proxy.url)
    proxy.cut()
    await eventually(() => expect(linesOf(UNREAD)).to.have.length(1))
    await set()
    expect(watch.isAny()).to.equal(false)
    proxy.restore()
    await isPaused(watch, true)
    proxy.freeze()
    await end()
    await eventually(() => expect(linesOf(UNREAD).length + linesOf('database connection lost').length).to.be.above(1))
    expect(watch.isAny()).to.equal(true)
    proxy.restore()
    await isPaused(watch, false)
  })

  it('pause watch: ends a pause by the time left while PostgreSQL is away, and not before', async () => {
    const proxy = await startTcpProxy(store.database.url)
    cleanUps.push(() => proxy.stop())
    const startedAt = performance.now()
    await set({ forMs: 2_000 })
    const { watch, linesOf } = await follow(proxy.url)
    proxy.cut()
    await eventually(() => expect(linesOf(UNREAD)).to.have.length(1))
    expect(watch.isAny()).to.equal(true)
    await isPaused(watch, false)
    expect(performance.now() - startedAt).to.be.within(1_500, 8_000)
    expect(linesOf(RESUMED)[0]?.fields).to.include({ by: 'ann@ops', reason: 'the provider moves' })
  })

  /** A role that gets an error when it reads a pause. */
  async function refusedRole(code?: string): Promise<UnreadableRows> {
    await set()
    const role = await createUnreadableRows(store.database.url, {
      ...{ table: 'pauses', condition: 'true' },
      ...(code !== undefined && { code }),
    })
    cleanUps.push(() => role.drop())
    return role
  }

  for (const [cause, code, remedy] of [
    ['its row is damaged', 'XX001', 'Repair it'],
    ['the role lacks the grant', '42501', '"Roles and grants" in docs/operations.md'],
  ] as const) {
    it(`pause watch: a process that starts ends with an error that names the table if ${cause}`, async () => {
      const { url } = await refusedRole(code)
      const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
      cleanUps.push(() => db.destroy())
      const { logger, lines } = recordingLogger()
      const started = await createPauseWatch({ db, own: 'worker', logger })
        .start(new AbortController().signal)
        .catch((error: unknown) => error)
      expect(started).to.have.property('code', 'table_unreadable')
      expect(String(started)).to.include('cannot read the table "pauses"').and.include(remedy)
      expect(lines).to.deep.equal([])
    })

    it(`pause watch: a process that runs keeps its last state, and says so once, if ${cause}`, async () => {
      const { url, heal } = await refusedRole(code)
      await heal()
      const { watch, linesOf } = await follow(url)
      const reader = new URL(url).username
      await query(store.database.url, `alter policy ${reader} on pauses using (${reader}_damaged())`)
      await end()
      await eventually(() => expect(linesOf(UNREAD)).to.have.length(1))
      const failed = async () => {
        const text = 'select xact_rollback::int as failed from pg_stat_database where datname = current_database()'
        return (await query<{ failed: number }>(store.database.url, text))[0]?.failed ?? 0
      }
      const before = await failed()
      await eventually(async () => expect(await failed(), 'later looks').to.be.above(before + 2))
      expect(watch.isAny()).to.equal(true)
      expect(linesOf(UNREAD)).to.have.length(1)
      await heal()
      await isPaused(watch, false)
    })
  }

  it('pause watch: keeps its last state while the table is locked', async () => {
    await set()
    const { watch, linesOf } = await follow()
    const other = await openClient(store.database.url)
    cleanUps.push(() => other.end())
    await other.query('begin; lock table pauses')
    await eventually(() => expect(linesOf(UNREAD)).to.have.length(1))
    expect(watch.isAny()).to.equal(true)
    await other.query("update pauses set resumed_at = now(), resumed_by = 'an operator'; commit")
    await isPaused(watch, false)
  })
})
