import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createRelayRig, news, PATIENTLY, type RelayRig } from './relay-rig.ts'

const HEAP_MB_MAX = 64
const GROWTH_MB_MAX = 200

describe('memory of a relay', () => {
  let rig: RelayRig
  beforeEach(async () => {
    rig = await createRelayRig()
  })
  afterEach(() => rig.stop())

  const memoryMb = async (pid: number, what: 'VmRSS' | 'VmHWM') => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024
  }

  /** Lets a relay drain the outbox. Returns how much more memory it used at its peak than when idle, in MB. */
  async function growthMb(fill: () => Promise<unknown>): Promise<number> {
    // Node ends a process whose heap grows beyond this.
    const relay = rig.start({ NODE_OPTIONS: `--max-old-space-size=${HEAP_MB_MAX}` })
    await rig.append(news(1))
    await eventually(async () => expect(await rig.backlog()).to.equal(0), PATIENTLY)
    const idle = await memoryMb(relay.pid, 'VmRSS')
    await fill()
    await eventually(async () => expect(await rig.backlog()).to.equal(0), { timeoutMs: 180_000, intervalMs: 200 })
    const growth = (await memoryMb(relay.pid, 'VmHWM')) - idle
    console.log(`      ${idle.toFixed(0)} MB idle, ${growth.toFixed(0)} MB more at the peak`)
    return growth
  }

  // Promise 12
  it('memory of a relay does not grow with the number of messages in the backlog', async () => {
    const fill = () =>
      sql`insert into outbox_messages (lane, message_id, key, topic, payload, mandatory)
      select n % 32, gen_random_uuid(), n::text, 'payment.succeeded', jsonb_build_object('n', n), false
      from generate_series(1, 100000) n`.execute(rig.db)
    expect(await growthMb(fill)).to.be.below(GROWTH_MB_MAX)
  }).timeout(300_000)

  // Promise 12
  it('memory of a relay does not grow with the size of messages in the backlog', async () => {
    const payload = randomBytes(675_000).toString('base64')
    const fill = async () => {
      for (let at = 0; at < 200; at += 20)
        await rig.append(news(20, { payload, topic: 'payment.succeeded', mandatory: false }))
    }
    expect(await growthMb(fill)).to.be.below(GROWTH_MB_MAX)
  }).timeout(300_000)
})
