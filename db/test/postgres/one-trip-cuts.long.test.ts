import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createTestDatabase, query, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import { createDatabase, isTransient, onlyStatement, type Tables } from '../../src/index.ts'
import { createOneTripRig, errorOf, open, optionsOf } from './one-trip-rig.ts'

type Direction = 'toServer' | 'toClient'

/** Passes bytes between a client and PostgreSQL. `cutAfter` ends one direction of the connection after `bytes` more bytes. */
async function startCutter(serverUrl: string) {
  const target = new URL(serverUrl)
  let armed: { direction: Direction; bytes: number } | undefined
  function pass(from: Socket, to: Socket, direction: Direction): void {
    from.on('error', () => {})
    from.on('close', () => to.end())
    from.on('data', (bytes) => {
      if (armed?.direction !== direction) return void to.write(bytes)
      if (bytes.length < armed.bytes) {
        armed.bytes -= bytes.length
        return void to.write(bytes)
      }
      to.end(bytes.subarray(0, armed.bytes))
      armed = undefined
      // Answers to what has passed still arrive. Then the other side closes the connection.
      from.removeAllListeners('data').resume()
    })
  }
  const listener = createServer((client) => {
    const server = connect({ port: Number(target.port), host: target.hostname })
    pass(client, server, 'toServer')
    pass(server, client, 'toClient')
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String((listener.address() as AddressInfo).port)
  return {
    url: url.href,
    cutAfter(direction: Direction, bytes: number) {
      armed = { direction, bytes }
    },
    /** Returns whether the connection was cut. If it was not, it will not be. */
    disarm() {
      const isCut = armed === undefined
      armed = undefined
      return isCut
    },
    stop: () => void listener.close(),
  }
}

describe('one-trip driver on a connection that ends', () => {
  let database: TestDatabase
  let cutter: Awaited<ReturnType<typeof startCutter>>
  let db: Kysely<Tables>
  /** Number of the present transaction. Its rows have this number. */
  let run = 0
  before(async () => {
    database = await createTestDatabase()
    await query(database.url, 'create table things (run int, part int, primary key (run, part))')
    cutter = await startCutter(database.url)
    db = open(cutter.url, 'one-trip-cuts')
  })
  after(async () => {
    await db.destroy()
    cutter.stop()
    await database.drop()
  })

  const insert = (tx: Kysely<Tables>, part: number) =>
    sql`insert into things (run, part) values (${run}, ${part})`.execute(tx)
  const transactions = {
    'of one marked statement': () => db.transaction().execute((tx) => insert(onlyStatement(tx), 1)),
    'without a marked statement': () =>
      db.transaction().execute(async (tx) => {
        await insert(tx, 1)
        await insert(tx, 2)
      }),
  }

  // Promise 4
  for (const [kind, transaction] of Object.entries(transactions))
    for (const direction of ['toServer', 'toClient'] as const)
      it(`stores all of a transaction ${kind}, or nothing, after a cut (${direction})`, async () => {
        const count = () => query(database.url, `select count(*)::int as count from things where run = ${run}`)
        run += 1
        await transaction()
        const [whole] = await count()
        let isCut = true
        for (let bytes = 1; isCut; bytes += direction === 'toServer' ? 5 : 1) {
          run += 1
          await sql`select 'the session is open'`.execute(db)
          cutter.cutAfter(direction, bytes)
          const error = await errorOf(transaction())
          isCut = cutter.disarm()
          const [stored] = await count()
          expect(error === undefined || isTransient(error), `cut after ${bytes} bytes: ${error}`).to.equal(true)
          expect(stored?.count, `cut after ${bytes} bytes`).to.be.oneOf(
            error === undefined ? [whole?.count] : [0, whole?.count],
          )
        }
      }).timeout(180_000)
})

/** Passes messages, and no byte in either direction after the next error of the server. */
async function startSilencer(serverUrl: string) {
  const target = new URL(serverUrl)
  let isArmed = false
  const listener = createServer((client) => {
    const server = connect({ port: Number(target.port), host: target.hostname })
    let isSilent = false
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('close', () => server.destroy())
    client.on('data', (bytes) => void (isSilent || server.write(bytes)))
    let rest = Buffer.alloc(0)
    server.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes])
      while (!isSilent && rest.length > 4 && rest.length > rest.readInt32BE(1)) {
        const message = rest.subarray(0, 1 + rest.readInt32BE(1))
        rest = rest.subarray(message.length)
        client.write(message)
        isSilent = isArmed && message[0] === 'E'.charCodeAt(0)
        isArmed &&= !isSilent
      }
    })
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  const url = new URL(serverUrl)
  url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`
  const arm = () => {
    isArmed = true
  }
  return { url: url.href, arm, stop: () => void listener.close() }
}

describe('one-trip driver on a connection that is silent', () => {
  it('gives the next transaction another session when no answer to ROLLBACK arrives in time', async () => {
    const rig = await createOneTripRig()
    await rig.insert(rig.db, 1)
    const silencer = await startSilencer(rig.databaseUrl)
    const impatient = createDatabase({ ...optionsOf(silencer.url, 'impatient'), statementMs: 100 })
    await sql`select 'the session is open'`.execute(impatient)
    silencer.arm()
    const from = performance.now()
    const failing = errorOf(impatient.transaction().execute((tx) => rig.insert(tx, 1)))
    await impatient.transaction().execute((tx) => rig.insertOnly(tx, 2))
    // Without another session, the pool would give up after five seconds.
    expect(performance.now() - from).to.be.below(4_900)
    expect((await failing)?.code).to.equal('23505')
    expect(await rig.stored()).to.deep.equal([1, 2])
    await impatient.destroy()
    silencer.stop()
    await rig.stop()
  })

  it('throws a transient error when no answer arrives in time, and uses the session no more', async () => {
    const rig = await createOneTripRig()
    const impatient = createDatabase({ ...optionsOf(rig.proxy.url, 'impatient'), statementMs: 100 })
    await sql`select 'the session is open'`.execute(impatient)
    rig.proxy.holdAnswers()
    const transaction = errorOf(impatient.transaction().execute((tx) => rig.insertOnly(tx, 1)))
    expect(isTransient(await transaction)).to.equal(true)
    rig.proxy.restore()
    await impatient.transaction().execute((tx) => rig.insertOnly(tx, 2))
    expect(await rig.stored()).to.deep.equal([1, 2])
    await impatient.destroy()
    await rig.stop()
  })
})
