import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUnreadableRows, nullLogger, openClient, query, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { createDatabase } from '../../src/index.ts'
import { FINDING_PARTS, FINDINGS_QUERY, readFindings, seesAllSessions } from '../../src/operator/findings.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

describe('findings: the query for the part that is down', () => {
  let store: TestStore
  beforeEach(async () => {
    store = await createTestStore()
  })
  afterEach(() => store.drop())

  it('findings: docs/operations.md shows the query that doctor runs', () => {
    const page = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8')
    const [, shown] = /^## Which part is down\n[\s\S]*?```sql\n([\s\S]*?)```/m.exec(page) ?? []
    expect(shown).to.equal(`${FINDINGS_QUERY};\n`)
  })

  it('findings: each part finds nothing in a system that works, and a pause with its age in milliseconds', async () => {
    for (const part of FINDING_PARTS) expect(await readFindings(store.db, part), part).to.deep.equal([])
    await query(
      store.database.url,
      `insert into pauses (component, reason, paused_by, paused_at)
        values ('worker', 'a move: now', 'ann', now() - interval '90 seconds')`,
    )
    const [pause] = await readFindings(store.db, 'pauses')
    expect(pause).to.include({ finding: 'pause by ann', subject: 'worker: a move: now' })
    expect(pause?.sinceMs).to.be.within(90_000, 120_000)
  })

  it('findings: a locked table hides nothing of the other parts', async () => {
    const other = await openClient(store.database.url)
    await other.query('begin; lock table outbox_messages in access exclusive mode')
    const read = await Promise.allSettled(FINDING_PARTS.map((part) => readFindings(store.db, part)))
    await other.end()
    expect(FINDING_PARTS.filter((_, at) => read[at]?.status === 'rejected')).to.deep.equal(['outbox'])
  })

  it("findings: tells whether PostgreSQL shows a role the others' sessions", async () => {
    expect(await seesAllSessions(store.db)).to.equal(true)
    const role = await createUnreadableRows(store.database.url, { table: 'payments', condition: 'false' })
    const db = createDatabase({ url: role.url, applicationName: 'test', poolMax: 1, logger: nullLogger })
    expect(await seesAllSessions(db)).to.equal(false)
    await db.destroy()
    await role.drop()
  })
})
