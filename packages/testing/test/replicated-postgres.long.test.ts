import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import {
  eventually,
  openClient,
  query as queryOn,
  type ReplicatedPostgres,
  startReplicatedPostgres,
} from '../src/index.ts'

/** Writes one number after the other to the current primary, each in its own transaction. */
function startWriter(postgres: ReplicatedPostgres) {
  const answered: number[] = []
  let errors = 0
  let stopping = false
  let next = 0
  async function write(): Promise<void> {
    let client: Awaited<ReturnType<typeof openClient>> | undefined
    try {
      client = await openClient(postgres.url, { query_timeout: 5_000 })
      while (!stopping) {
        const number = next++
        await client.query('insert into kept values ($1)', [number])
        answered.push(number)
      }
    } catch {
      errors += 1
      await sleep(20) // The pause between attempts.
    } finally {
      await client?.end().catch(() => {})
    }
  }
  const ended = (async () => {
    while (!stopping) await write()
  })()
  return {
    answered,
    errors: () => errors,
    /** Resolves when it has written another number. */
    writesMore: async () => {
      const before = answered.length
      await eventually(() => expect(answered.length).to.be.greaterThan(before + 20))
    },
    async stop() {
      stopping = true
      await ended
    },
  }
}

describe('replicated PostgreSQL', () => {
  const cleanUps: (() => Promise<unknown>)[] = []
  let postgres: ReplicatedPostgres
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  async function start(options?: Parameters<typeof startReplicatedPostgres>[0]): Promise<void> {
    postgres = await startReplicatedPostgres(options)
    cleanUps.push(() => postgres.stop())
    // A few rows fill a page, and then the table's file must grow.
    await query("create table kept (number int primary key, padding text default repeat('x', 1000))")
  }

  const query = (text: string) => queryOn(postgres.url, text)

  /** Waits until a COMMIT waits for the standby, whose replication is frozen. */
  const writesWait = () =>
    eventually(
      async () => expect(await query("select 1 from pg_stat_activity where wait_event = 'SyncRep'")).not.to.be.empty,
    )

  /** Opens an idle session, which reports its end. */
  async function openSession() {
    const client = await openClient(postgres.url)
    const session = { hasEnded: false }
    client.on('end', () => {
      session.hasEnded = true
    })
    return session
  }

  /** Writes WAL until the disk has no room for its next file. The server then crashes, which ends every session. */
  const crashOnFullDisk = (session: { hasEnded: boolean }) =>
    eventually(async () => {
      await query("select pg_logical_emit_message(false, '', 'any'), pg_switch_wal()").catch(() => {})
      // The failed session ends first. Until the others end, the server answers as usual.
      expect(session.hasEnded).to.equal(true)
    })

  async function expectAllKept(answered: number[]): Promise<void> {
    const kept = new Set((await query('select number from kept')).map(({ number }) => number))
    expect(answered.filter((number) => !kept.has(number))).to.deep.equal([])
  }

  it('loses no confirmed commit when its primary is lost twice under writes', async () => {
    await start({ settings: { track_commit_timestamp: 'on' } })
    const writer = startWriter(postgres)
    cleanUps.push(() => writer.stop())
    for (const attach of [true, false]) {
      await writer.writesMore()
      const lost = postgres.url
      postgres.freezeReplication()
      await writesWait()
      await postgres.failOver()
      expect(postgres.url).not.to.equal(lost)
      await writer.writesMore()
      if (attach) await postgres.attachStandby()
    }
    expect(await query('show track_commit_timestamp')).to.deep.equal([{ track_commit_timestamp: 'on' }])
    await writer.stop()
    await expectAllKept(writer.answered)
  }).timeout(180_000)

  it('standby has all visible commits of its primary when the primary is lost', async () => {
    await start()
    const [sender] = await query('select pid from pg_stat_replication')
    process.kill(sender?.pid as number, 'SIGSTOP')
    await query('set synchronous_commit = local; insert into kept values (1)') // This COMMIT waits for no standby.
    const failingOver = postgres.failOver()
    process.kill(sender?.pid as number, 'SIGCONT')
    await failingOver
    expect(await query('select number from kept')).to.deep.equal([{ number: 1 }])
  }).timeout(180_000)

  it('recovers by itself, with its standby, when its primary has crashed and is started again', async () => {
    await start()
    const writer = startWriter(postgres)
    cleanUps.push(() => writer.stop())
    await writer.writesMore()
    const { url } = postgres
    await postgres.crash()
    await eventually(() => expect(writer.errors()).to.be.greaterThan(0))
    await postgres.start()
    expect(postgres.url).to.equal(url)
    await writer.writesMore() // Each COMMIT waits for the standby.
    const settings = await query('show synchronous_standby_names')
    expect(settings).to.deep.equal([{ synchronous_standby_names: 'ANY 1 (standby)' }])
    await writer.stop()
    await postgres.failOver()
    await expectAllKept(writer.answered)
  }).timeout(180_000)

  it('loses no confirmed commit, and recovers, when a full disk has room again', async () => {
    await start({ diskMb: 256 })
    expect(postgres.hasSmallDisk).to.equal(mayMount())
    const writer = startWriter(postgres)
    cleanUps.push(() => writer.stop())
    await writer.writesMore()
    if (postgres.hasSmallDisk) {
      const session = await openSession()
      await postgres.fillDisk()
      const errors = writer.errors()
      await eventually(() => expect(writer.errors()).to.be.greaterThan(errors + 5))
      await crashOnFullDisk(session)
      await postgres.freeDisk()
      await postgres.start()
      await writer.writesMore()
      await postgres.start() // The server runs already, so this does nothing.
    }
    await writer.stop()
    await expectAllKept(writer.answered)
  }).timeout(180_000)
})

/** Whether this user can mount a small disk on this machine. */
function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'cashflow-test-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', folder])
  if (status === 0) spawnSync('umount', [folder])
  rmdirSync(folder)
  return status === 0
}
