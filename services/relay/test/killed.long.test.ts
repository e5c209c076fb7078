import { readFile } from 'node:fs/promises'
import { eventually, type ServiceProcess, startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

const CONFIRMED_WITHIN_MS = 5_000
const MESSAGES = 2_000
const PASSES = 2
const ROUNDS_MAX = 3

describe('relay process that is killed in the middle of its passes', () => {
  let rig: RelayRig
  let broker: TcpProxy
  beforeEach(async () => {
    rig = await createRelayRig()
    broker = await startTcpProxy(rig.vhost.url)
  })
  afterEach(async () => {
    await rig.stop()
    await broker.stop()
  })

  /** Number of passes that have locked and read lanes, and wait for their confirms. */
  async function passesWaiting(): Promise<number> {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name like 'cashflow-relay (%' and backend_xid is not null
        and state = 'idle in transaction' and query like '%octet_length(whole)%'
        and clock_timestamp() - state_change > interval '100 milliseconds'`.execute(rig.db)
    return rows[0]?.count ?? 0
  }

  async function start(settings?: Record<string, string>): Promise<ServiceProcess> {
    const relay = rig.start({ RELAY_PASSES: String(PASSES), ...settings })
    await relay.logged('ready', PATIENTLY)
    return relay
  }

  /** Runs one round. Returns how long after the kill all messages were confirmed, in milliseconds. */
  async function confirmedMsAfterKill(): Promise<number> {
    const [killed, other] = [await start({ RABBITMQ_URL: broker.url }), await start()]
    // So that the relay that is killed holds as many lanes as it may.
    other.kill('SIGSTOP')
    await eventually(async () => expect(await readFile(`/proc/${other.pid}/stat`, 'utf8')).to.match(/ T /))
    broker.holdAnswers()
    const messages = news(MESSAGES)
    await rig.append(messages)
    await eventually(async () => expect(await passesWaiting()).to.equal(PASSES), PATIENTLY)
    expect(await rig.backlog(), 'nothing is confirmed').to.equal(MESSAGES)

    other.kill('SIGCONT')
    killed.kill('SIGKILL')
    const killedAt = performance.now()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const confirmedMs = Math.round(performance.now() - killedAt)
    console.log(`      ${MESSAGES} rows, half of the lanes held by the killed relay, confirmed after ${confirmedMs} ms`)

    const published = await rig.published()
    for (const { messageId } of messages) expect(published.has(messageId)).to.equal(true)
    other.kill('SIGKILL')
    await Promise.all([killed.exited, other.exited])
    broker.restore()
    return confirmedMs
  }

  // Promise 11
  it('relay: all messages of a killed relay are confirmed by another one within 5 seconds', async () => {
    // The best round counts: a stalling machine makes one round long, a waiting relay makes all rounds long.
    let bestMs = Number.POSITIVE_INFINITY
    for (let round = 1; round <= ROUNDS_MAX && bestMs >= CONFIRMED_WITHIN_MS; round++) {
      bestMs = Math.min(bestMs, await confirmedMsAfterKill())
    }
    expect(bestMs).to.be.below(CONFIRMED_WITHIN_MS)
  }).timeout(ROUNDS_MAX * 180_000)
})
