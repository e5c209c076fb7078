import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  eventually,
  startPgbouncer,
  startPrivatePostgres,
  startStopwatch,
  startTcpProxy,
  type TcpProxy,
} from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

const GIVEN_UP_WITHIN_MS = 8_000

describe('relay process that freezes', () => {
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

  /**
   * Finds the sessions of passes with this query, and PostgreSQL's time in milliseconds. A pass has an xid once it has
   * locked a lane. The test itself locks no lanes: a pass would skip them.
   */
  async function look(query: string) {
    const { rows } = await sql<{ at: number; wait: string | null; since: number | null }>`
      select extract(epoch from clock_timestamp())::float8 * 1000 as at, wait_event as wait,
        extract(epoch from state_change)::float8 * 1000 as since
      from (select) always left join pg_stat_activity on datname = current_database()
        and application_name like 'cashflow-relay (%' and backend_xid is not null and query like ${`%${query}%`}`.execute(
      rig.db,
    )
    const sessions = rows.filter(({ since }) => since !== null)
    return { at: rows[0]?.at ?? Number.NaN, waits: sessions.map(({ wait }) => wait), since: sessions[0]?.since }
  }

  /** Freezes the relay at this query of a pass. Returns how long its session was seen after that, in milliseconds. */
  async function freeze(relay: { kill(signal: NodeJS.Signals): void }, query: string): Promise<number> {
    relay.kill('SIGSTOP')
    const frozenAt = (await look(query)).at
    const stopwatch = startStopwatch()
    let heldMs = 0
    // The lesser of two times counts: by PostgreSQL's clock up to the last look that saw the session, or by the stopwatch.
    // On a machine with many busy processes the server ends its session late, and this process runs late as well.
    await eventually(
      async () => {
        const { at, waits } = await look(query)
        if (waits.length > 0) heldMs = at - frozenAt
        expect(waits).to.deep.equal([])
      },
      { timeoutMs: 60_000 },
    )
    const { rows } = await sql`select lane from outbox_lanes for update skip locked`.execute(rig.db)
    expect(rows, 'free lanes').to.have.length(32)
    return Math.min(heldMs, stopwatch.stop())
  }

  /** Checks that no message is lost when another relay takes over and the frozen one wakes up. */
  async function takeOver(messages: ReturnType<typeof news>, frozen: { kill(signal: NodeJS.Signals): void }) {
    rig.start()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    for (const proxy of proxies) proxy.restore()
    frozen.kill('SIGCONT')
    const later = news(20)
    await rig.append(later)
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const published = await rig.published()
    for (const { messageId } of [...messages, ...later]) expect(published.has(messageId)).to.equal(true)
  }

  // Promise 11
  it('relay: loses its lanes when it freezes before it has published', async () => {
    const messages = news(40)
    await rig.append(messages)
    const database = await proxied(rig.database.url)
    database.holdAnswerTo('from "outbox_lanes"')
    const relay = rig.start({ DATABASE_URL: database.url, RELAY_PASSES: '1' })
    await eventually(
      async () => expect((await look('from "outbox_lanes"')).waits).to.deep.equal(['ClientRead']),
      PATIENTLY,
    )
    expect(await freeze(relay, 'from "outbox_lanes"')).to.be.below(GIVEN_UP_WITHIN_MS)
    await takeOver(messages, relay)
  }).timeout(180_000)

  // Promise 11
  it('relay: loses its lanes when it freezes while it waits for confirms', async () => {
    const broker = await proxied(rig.vhost.url)
    const relay = rig.start({ RABBITMQ_URL: broker.url })
    await rig.append(news(1))
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    broker.holdAnswers()
    const messages = news(40)
    await rig.append(messages)
    // A pass that has read and is idle has published.
    await eventually(async () => {
      const { at, since } = await look('octet_length(whole)')
      expect(at - (since ?? Number.NaN)).to.be.above(100)
    }, PATIENTLY)
    expect(await freeze(relay, 'octet_length(whole)')).to.be.below(GIVEN_UP_WITHIN_MS)
    await takeOver(messages, relay)
  }).timeout(180_000)

  async function freezeWhileReceiving(databaseUrl: string): Promise<void> {
    // A message of the size that append allows fits into the kernels' buffers: PostgreSQL would not wait for its reader.
    const messages = news(10, { key: 'k' })
    await rig.append(messages)
    await sql`update outbox_messages set payload = to_jsonb(${randomBytes(7_000_000).toString('base64')}::text)
      where message_id = ${messages[0]?.messageId}`.execute(rig.db)
    const database = await proxied(databaseUrl)
    database.holdAnswerTo('octet_length(whole)')
    const relay = rig.start({ DATABASE_URL: database.url, RELAY_PASSES: '1' })
    await eventually(
      async () => expect((await look('octet_length(whole)')).waits).to.deep.equal(['ClientWrite']),
      PATIENTLY,
    )
    expect(await freeze(relay, 'octet_length(whole)')).to.be.below(GIVEN_UP_WITHIN_MS)
    await takeOver(messages, relay)
  }

  // Promise 11
  it('relay: loses its lanes when it freezes while it receives a large result', async () => {
    await freezeWhileReceiving(rig.database.url)
  }).timeout(180_000)

  // So that PgBouncer's own buffers do not hold the whole result.
  const SMALL_BUFFERS = { tcp_socket_buffer: '65536' }

  // Promise 11
  it('relay: loses its lanes when it freezes while it receives a large result through PgBouncer', async () => {
    const pgbouncer = await startPgbouncer(rig.database.url, { poolMode: 'session', settings: SMALL_BUFFERS })
    await freezeWhileReceiving(pgbouncer.url)
    await pgbouncer.stop()
  }).timeout(180_000)

  // Promise 11
  it("relay: loses its lanes when it freezes while it receives through PgBouncer on PostgreSQL's Unix socket, with a query_timeout", async () => {
    const socketFolder = await mkdtemp(join(tmpdir(), 'cashflow-socket-'))
    await chmod(socketFolder, 0o777) // As root, other users run the servers.
    const postgres = await startPrivatePostgres({ unix_socket_directories: socketFolder })
    await rig.stop()
    rig = await createRelayRig(undefined, { url: postgres.url, drop: postgres.stop })
    const pgbouncer = await startPgbouncer(`${postgres.url}?host=${socketFolder}`, {
      poolMode: 'session',
      settings: { ...SMALL_BUFFERS, query_timeout: '6' },
    })
    await freezeWhileReceiving(pgbouncer.url)
    await pgbouncer.stop()
    await rm(socketFolder, { recursive: true })
  }).timeout(180_000)
})
