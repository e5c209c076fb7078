import { randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { isTransient } from '../../src/index.ts'
import { ask, errorOf, type HostRig, hostOf, NOWHERE, startHostRig } from './host-rig.ts'
import { startDroppingServer } from './silent-servers.ts'

// The database waits 250 ms for the first look at all hosts, and 250 ms for the answer of the first host. Without the second
// limit it would wait until the attempt ends, after a second.
const DIALLED_WITHIN_MS = [450, 1_000] as const
/** On a busy machine some tries take longer. */
const TRIES = 10

describe('pool of several hosts', () => {
  let rig: HostRig
  beforeEach(async () => {
    rig = await startHostRig()
  })
  afterEach(() => rig.stop())

  it('db: uses the next host at once when the first one refuses, and logs the host in use without a password', async () => {
    await ask(rig.open([NOWHERE, rig.host]))
    expect(rig.logged('database host in use')).to.deep.equal([{ message: 'database host in use', host: rig.host }])
  })

  /** The shortest time from the start of a process to its first answer, in milliseconds. */
  async function shortestStart(hosts: readonly string[]): Promise<number> {
    let shortest = Number.POSITIVE_INFINITY
    for (let tries = 0; tries < TRIES && shortest > DIALLED_WITHIN_MS[1]; tries++)
      shortest = Math.min(shortest, await ask(rig.open(hosts)))
    return shortest
  }

  // Promise 56
  it('db: dials the next host while the first one accepts a connection and does not answer', async () => {
    const silent = await rig.silent()
    expect(await shortestStart([silent.host, rig.host])).to.be.within(...DIALLED_WITHIN_MS)
  })

  // Promise 56
  it('db: dials the next host while packets to the first one are dropped', async () => {
    const dropping = await startDroppingServer()
    rig.onStop(() => dropping.stop())
    expect(await shortestStart([dropping.host, rig.host])).to.be.within(...DIALLED_WITHIN_MS)
  })

  it('db: closes the session of a host that answers after another host was chosen', async () => {
    const slow = await rig.proxy()
    const db = rig.open([hostOf(slow.url), rig.host])
    slow.delay(60)
    await ask(db)
    await eventually(() => expect(slow.open, 'the watch has one connection').to.be.at.most(1))
    expect(rig.logged('database host in use')).to.deep.equal([{ message: 'database host in use', host: rig.host }])
  })

  it('db: tries the host first that worked last', async () => {
    const [first, second] = [await rig.proxy(), await rig.proxy()]
    const db = rig.open([hostOf(first.url), hostOf(second.url)])
    await ask(db)
    first.cut()
    await eventually(() => ask(db))
    const change = {
      message: 'database host changed',
      host: hostOf(second.url),
      host_before: hostOf(first.url),
    }
    expect(rig.logged('database host changed')).to.deep.equal([change])
    first.restore()
    second.reset()
    await eventually(() => ask(db))
    expect(rig.logged('database host changed')).to.deep.equal([change])
  })

  it('db: throws a transient error unless every host refuses the user or the database', async () => {
    const url = `${rig.url}_missing`
    expect(isTransient(await errorOf(rig.open([rig.host, rig.host], { url })))).to.equal(false)
    expect(isTransient(await errorOf(rig.open([NOWHERE, rig.host], { url })))).to.equal(true)
  })

  it('db: watches and races no host if there is only one', async () => {
    const only = await rig.proxy()
    const db = rig.open([hostOf(only.url)], { poolMax: 1 })
    await ask(db)
    await ask(db)
    expect(only.taken, 'two to find a pooler, and one in the pool').to.equal(3)
    expect(rig.logs).to.deep.equal([])
  })

  it('db: reads the timelines as an ordinary role', async () => {
    await ask(rig.open([NOWHERE, rig.host], { url: await urlOfRole() }))
    expect(rig.logs.map(({ message }) => message)).to.deep.equal(['database host in use'])
  })

  it('db: uses the primary as a role without the right to read timelines, and logs once what goes unnoticed', async () => {
    await sql`revoke execute on function pg_control_system() from public`.execute(rig.open([rig.host]))
    const db = rig.open([NOWHERE, rig.host], { url: await urlOfRole() })
    await Promise.all([ask(db), ask(db)])
    const lines = rig.logged('timelines cannot be read, so a former primary that still runs goes unnoticed')
    expect(lines).to.have.length(1)
    expect(lines[0]?.error).to.have.property('code', '42501')
  })

  async function urlOfRole(): Promise<string> {
    const name = `role_${randomUUID().replaceAll('-', '')}`
    const admin = rig.open([rig.host])
    await sql.raw(`create role ${name} login password 'secret'`).execute(admin)
    rig.onStop(() => sql.raw(`drop role ${name}`).execute(admin))
    const url = new URL(rig.url)
    url.username = name
    url.password = 'secret'
    return url.href
  }
})
