import { createTestDatabase, openClient, query, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { read } from './files.ts'

interface Finding {
  readonly finding: string
  readonly subject: string
}

describe('docs/operations.md: the query for the part that is down', () => {
  const [, section = ''] = /^## Which part is down\n([\s\S]*?)^## /m.exec(read('operations')) ?? []
  const [statement = '', sessions = '', end = ''] = Array.from(
    section.matchAll(/```sql\n([\s\S]*?)```/g),
    ([, block = '']) => block,
  )
  let database: TestDatabase
  beforeEach(async () => {
    database = await createTestDatabase()
  })
  afterEach(() => database.drop())

  const findings = (text: string): Promise<Finding[]> => query(database.url, text)

  async function addInstance(role: string, instance: string, age: string): Promise<void> {
    await query(
      database.url,
      `insert into instances (id, role, instance, version, started_at, seen_at, counters)
        values (gen_random_uuid(), $1, $2, '1', now(), now() - $3::interval, '{}')`,
      { values: [role, instance, age] },
    )
  }

  it('the query for the part that is down finds nothing while all processes run', async () => {
    for (const role of ['api', 'relay', 'worker']) await addInstance(role, 'host:1', '1 second')
    expect(await findings(statement)).to.deep.equal([])
  })

  it('the query for the part that is down names each part, and the table explains each finding', async () => {
    await addInstance('api', 'host:1', '1 second')
    await addInstance('relay', 'host:2', '1 second')
    await addInstance('worker', 'host:3', '1 minute')
    await addInstance('worker', 'host:4', '1 hour')
    await query(database.url, `insert into pauses (component, reason, paused_by) values ('relay', 'a move', 'me')`)
    await query(
      database.url,
      `insert into outbox_messages (lane, message_id, key, topic, payload, created_at)
        values (1, gen_random_uuid(), 'k', 'payment.created', '{}', now() - interval '1 minute')`,
    )
    await query(
      database.url,
      `insert into dead_letters (lane, message_id, key, topic, payload, source, reason)
        values (1, gen_random_uuid(), 'k', 't', '{}', 'queue', 'r')`,
    )
    await query(
      database.url,
      `insert into payments (id, merchant_id, reference, amount_minor, currency, status, attempts, redrive_at)
        select gen_random_uuid(), id, 'R', 1, 'USD', 'PENDING', 1, now() from merchants limit 1`,
    )
    const forgotten = await openClient(database.url, { application_name: 'forgotten' })
    const report = await openClient(database.url, { application_name: 'report' })
    try {
      await forgotten.query('begin')
      await forgotten.query('select from outbox_lanes for update')
      await report.query('begin')
      await report.query('select from payments')
      // A transaction counts after ten seconds. The test does not wait for them.
      const atOnce = statement.replace("xact_start < now() - interval '10 seconds'", 'xact_start < now()')
      expect(atOnce).to.not.equal(statement)
      const found = await findings(atOnce)
      const lines = found.map(({ finding, subject }) => `${finding}: ${subject.replace(/pid \d+/, 'pid')}`)
      expect(lines).to.have.members([
        'no process runs: worker',
        'process gone or frozen: worker host:3',
        'pause by me: relay: a move',
        'session locks the outbox: pid forgotten',
        'open transaction: pid report',
        'outbox is late: payment.created',
        'provider gave no answer: 1 payments',
        'dead letters: queue: 1',
      ])
      for (const { finding } of found) expect(section).to.include(`\`${finding.replace(' me', ' …')}\``)
    } finally {
      await forgotten.end()
      await report.end()
    }
  })

  it('the statements for a server without a free session are accepted by PostgreSQL', async () => {
    const other = await openClient(database.url, { application_name: 'reporting' })
    const shown = await query(database.url, sessions)
    expect(shown.map(({ application_name: name }) => name)).to.include('reporting')
    await query(database.url, end.replace('where', 'where datname = current_database() and'))
    await other.end()
  })
})
