import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { nullLogger, openClient, type PrivatePostgres, startPrivatePostgres, withDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import fc from 'fast-check'
import type pg from 'pg'
import { createDatabase, type Database, findFeedHolder, readFeed, serviceSession } from '../../src/index.ts'
import { createReader, eventValues, INSERT_EVENT, idsOf } from './feed-rig.ts'

const WRITERS = 4
const RUNS = Number(process.env.PROPERTY_RUNS ?? 30)

/** A step of a script. Each writer has a session of its own. */
type Step =
  | { readonly does: Act; readonly writer: number }
  | { readonly does: 'read'; readonly reader: number; readonly limit: number }
type Act = 'write' | 'commit' | 'roll back' | 'prepare' | 'end prepared'

const script = fc.array(
  fc.oneof(
    fc.record({
      does: fc.constantFrom<Act>('write', 'write', 'write', 'commit', 'commit', 'roll back', 'prepare', 'end prepared'),
      writer: fc.nat(WRITERS - 1),
    }),
    fc.record({ does: fc.constant('read' as const), reader: fc.nat(1), limit: fc.integer({ min: 1, max: 3 }) }),
  ),
  { minLength: 20, maxLength: 60 },
) satisfies fc.Arbitrary<Step[]>

describe('event feed under concurrent writers', () => {
  let server: PrivatePostgres
  let db: Database
  const clients: pg.Client[] = []
  before(async () => {
    // A server of its own: the feed waits for every transaction of the server, also of other tests.
    server = await startPrivatePostgres({ max_prepared_transactions: '10' })
    db = createDatabase({ url: server.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
  })
  afterEach(() => Promise.all(clients.splice(0).map((client) => client.end())))
  after(async () => {
    await db?.destroy()
    await server?.stop()
  })

  async function open(url = server.url, application_name = 'test-writer'): Promise<pg.Client> {
    const client = await openClient(url, { application_name })
    clients.push(client)
    return client
  }

  const insert = async (client: pg.Client): Promise<string> => {
    const { rows } = await client.query(INSERT_EVENT, [...eventValues()])
    return rows[0].payment_id
  }

  /** A session that has an open transaction, a prepared one, both or none. An act that its state does not allow does nothing. */
  async function createWriter(number: number) {
    const client = await open()
    const finisher = await open()
    let isOpen = false
    let isPrepared = false
    return async (act: Act): Promise<void> => {
      if (act === 'write') {
        if (!isOpen) await client.query('begin')
        isOpen = true
        await insert(client)
      } else if (act === 'end prepared') {
        if (isPrepared) await finisher.query(`commit prepared 'writer ${number}'`)
        isPrepared = false
      } else if (isOpen && act === 'prepare') {
        if (isPrepared) return
        await client.query(`prepare transaction 'writer ${number}'`)
        isPrepared = true
        isOpen = false
      } else if (isOpen) {
        await client.query(act === 'commit' ? 'commit' : 'rollback')
        isOpen = false
      }
    }
  }

  // Promise 86
  it('event feed: shows each event once and in one order, whichever of its writers commits first', async () => {
    const writers = await Promise.all(Array.from({ length: WRITERS }, (_, number) => createWriter(number)))
    const writer = (number: number) => defined(writers[number], 'writer')
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        await db.deleteFrom('payment_events').execute()
        const readers = [createReader(db), createReader(db)]
        for (const step of steps) {
          if (step.does === 'read') await defined(readers[step.reader], 'reader').read(step.limit)
          else await writer(step.writer)(step.does)
        }
        for (const number of writers.keys())
          for (const act of ['commit', 'end prepared'] as const) await writer(number)(act)
        const stored = await db.selectFrom('payment_events').select('payment_id').orderBy('xid').orderBy('id').execute()
        for (const reader of readers) {
          while ((await reader.read(2)).hasMore);
          expect(reader.seen).to.deep.equal(stored.map(({ payment_id }) => payment_id))
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
  }).timeout(120_000)

  // Promise 86
  it('event feed: waits for an older transaction of another database and for a prepared one, and names them', async () => {
    await db.deleteFrom('payment_events').execute()
    const elsewhere = await open(withDatabase(server.url, 'postgres'), 'a report')
    await elsewhere.query('begin')
    await elsewhere.query('select pg_current_xact_id()')
    const client = await open()
    const first = await insert(client)
    await client.query('begin')
    await client.query('select pg_current_xact_id()')
    await client.query("prepare transaction 'nightly'")
    const second = await insert(client)
    const read = () => readFeed(db, { merchantId: DEFAULT_MERCHANT_ID, limit: 10 })

    const held = await read()
    expect(held).to.deep.include({ events: [], hasMore: false })
    expect(held.delayedMs).to.be.within(1, 60_000)
    const { rows } = await elsewhere.query('select pg_backend_pid() as pid')
    expect(await findFeedHolder(db, held.horizon)).to.deep.equal({
      pid: rows[0].pid,
      application: 'a report',
      gid: null,
      database: 'postgres',
    })

    await elsewhere.query('commit')
    const heldByPrepared = await read()
    expect(idsOf(heldByPrepared)).to.deep.equal([first])
    expect(heldByPrepared.delayedMs).to.be.above(0)
    const holder = { pid: null, application: null, gid: 'nightly', database: 'payments' }
    expect(await findFeedHolder(db, heldByPrepared.horizon)).to.deep.equal(holder)

    await client.query("rollback prepared 'nightly'")
    const all = await read()
    expect([idsOf(all), all.delayedMs]).to.deep.equal([[first, second], 0])
    expect(await findFeedHolder(db, heldByPrepared.horizon)).to.equal(undefined)
  })

  // Promise 87
  it("event feed: does not wait for a relay's transaction, but for the others that run with it", async () => {
    await db.deleteFrom('payment_events').execute()
    const relay = await open(server.url, serviceSession('relay'))
    const api = await open(server.url, serviceSession('api'))
    const read = async () => idsOf(await readFeed(db, { merchantId: DEFAULT_MERCHANT_ID, limit: 10 }))
    await relay.query('begin')
    await relay.query('select pg_current_xact_id()')
    const first = await insert(await open())
    expect(await read()).to.deep.equal([first])
    await api.query('begin')
    const late = await insert(api)
    const second = await insert(await open())
    expect(await read()).to.deep.equal([first])
    await api.query('commit')
    expect(await read()).to.deep.equal([first, late, second])
  })
})
