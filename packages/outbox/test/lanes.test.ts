import { expect } from 'chai'
import { sql } from 'kysely'
import { appendMessages, createFloors } from '../src/index.ts'
import { lockLanes } from '../src/lanes.ts'
import { createTestOutbox, messages, type TestOutbox } from './test-outbox.ts'

describe('lock of lanes', () => {
  let outbox: TestOutbox
  beforeEach(async () => {
    outbox = await createTestOutbox()
  })
  afterEach(() => outbox.drop())

  it('takes no lane and no xid while the outbox is empty', async () => {
    const tx = await outbox.db.startTransaction().execute()
    expect(await lockLanes(tx, createFloors().view(), { startLane: 5, laneCount: 32, lanesMax: 8 })).to.deep.include({
      lanes: [],
    })
    const { rows } = await sql<{ xid: string | null }>`select pg_current_xact_id_if_assigned()::text as xid`.execute(tx)
    await tx.rollback().execute()
    expect(rows).to.deep.equal([{ xid: null }])
  })

  it('looks for messages in no more lanes than it locks', async () => {
    await outbox.db.transaction().execute((tx) => appendMessages(tx, messages(1_000)))
    const looks = await outbox.db.transaction().execute(async (tx) => {
      const count = async () => {
        const { rows } = await sql<{ looks: number }>`
          select pg_stat_get_xact_numscans('outbox_messages_pkey'::regclass)::int as looks`.execute(tx)
        return rows[0]?.looks ?? Number.NaN
      }
      const before = await count()
      const { lanes } = await lockLanes(tx, createFloors().view(), { startLane: 30, laneCount: 32, lanesMax: 4 })
      expect(lanes).to.deep.equal([30, 31, 0, 1])
      return (await count()) - before
    })
    expect(looks).to.equal(4)
  })
})
