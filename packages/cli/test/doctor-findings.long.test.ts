import { eventually } from '@cashflow/async'
import { uuidv7 } from '@cashflow/runtime'
import { createTestDatabase, openClient, query, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { doctor } from './run-doctor.ts'

/** The id of a process that starts at this time. */
const idAt = (ms: number) =>
  `'${ms
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})/, '$1-')}-7000-8000-000000000000'`

describe('cashflow doctor: processes and findings', function () {
  this.timeout(120_000)
  let database: TestDatabase

  beforeEach(async () => {
    database = await createTestDatabase()
  })
  afterEach(() => database.drop())

  const env = () => ({ DATABASE_URL: database.url })

  /** Stores the row of a process that was seen just now. */
  async function storeInstance(
    role: string,
    values: Partial<Record<'id' | 'instance' | 'version' | 'queue_depths' | 'started_at' | 'seen_at', string>> = {},
  ) {
    const {
      id = `'${uuidv7()}'`,
      instance = 'host:1',
      version = "'1'",
      queue_depths = 'null',
      started_at = 'now()',
      seen_at = "now() + interval '1 hour'",
    } = values
    await query(
      database.url,
      `insert into instances (id, role, instance, version, started_at, seen_at, counters, queue_depths)
        values (${id}, '${role}', '${instance}', ${version}, ${started_at}, ${seen_at}, '{}', ${queue_depths})`,
    )
  }

  it('doctor: finds processes that are gone, differ in version or clock, or see no queue', async () => {
    await storeInstance('api', { seen_at: "now() - interval '1 minute'" })
    await storeInstance('api', { version: "'2'" })
    await storeInstance('worker', { id: idAt(Date.now() - 3_600_000) })
    await storeInstance('relay')
    const found = await doctor(env())
    expect(found.wrong).to.deep.equal(['versions', 'clocks of processes', 'queues of relays'])
    expect(found.warnings).to.deep.equal(['api gone or frozen'])
    expect(found.detail('api gone or frozen')).to.match(
      /^host:1 was not seen for 1m.*, ended without a clean stop, and was replaced; this line ends at \d\d:\d\d UTC$/,
    )
    expect(found.detail('versions')).to.match(/Finish the upgrade/)
    expect(found.detail('clocks of processes')).to.match(/worker host:1 by (59m|1h)/)
    expect(found.detail('queues of relays')).to.match(/^host:1 see no queue/)
  })

  it('doctor: names the frozen process, the pause, the session and the late part, and says what to do', async () => {
    const hour = "now() - interval '1 hour'"
    await storeInstance('api')
    await storeInstance('relay', { instance: 'vm:12', started_at: hour, seen_at: "now() - interval '11 seconds'" })
    await storeInstance('worker', { instance: 'vm:34', started_at: hour, seen_at: "now() - interval '1 minute'" })
    await storeInstance('worker', { instance: 'vm:35', started_at: hour })
    await query(
      database.url,
      `insert into pauses (component, reason, paused_by, paused_at) values ('relay', 'a move: now', 'ann', ${hour})`,
    )
    await query(
      database.url,
      `insert into outbox_messages (lane, message_id, key, topic, payload, created_at)
        values (1, gen_random_uuid(), 'k', 'payment.created', '{}', now() - interval '5 minutes')`,
    )
    await query(
      database.url,
      `insert into dead_letters (lane, message_id, key, topic, payload, source, reason)
        values (1, gen_random_uuid(), 'k', 't', '{}', 'queue', 'r')`,
    )
    await query(
      database.url,
      `insert into payments (id, merchant_id, reference, amount_minor, currency, status, attempts, redrive_at, created_at)
        select gen_random_uuid(), id, 'R', 1, 'USD', 'PENDING', 1, now(), ${hour} from merchants limit 1`,
    )
    const forgotten = await openClient(database.url, { application_name: 'forgotten' })
    await forgotten.query('begin')
    await forgotten.query('lock table dead_letters in access exclusive mode')
    const [{ pid } = { pid: 0 }] = (
      await forgotten.query('select pg_backend_pid() as pid from outbox_lanes for update')
    ).rows
    await eventually(
      async () => {
        const old = "select 1 from pg_stat_activity where pid = $1 and xact_start < now() - interval '10 seconds'"
        expect(await query(database.url, old, { values: [pid] })).to.have.length(1)
      },
      { timeoutMs: 30_000 },
    )
    const found = await doctor(env())
    const gone = ['processes', 'relay gone or frozen', 'worker gone or frozen']
    expect(found.wrong).to.include.members([...gone, 'session locks the outbox', 'dead letters'])
    expect(found.warnings).to.include.members(['pause of relay', 'outbox is late', 'provider gave no answer'])
    expect(found.detail('relay gone or frozen'))
      .to.match(/^vm:12 was not seen for \d\ds, /)
      .and.include('If it still runs on vm, it is frozen: kill -9 12.')
    expect(found.detail('worker gone or frozen')).to.include('kill -9 34')
    expect(found.detail('pause of relay')).to.equal('by ann, for 1h: a move: now. To end it: cashflow resume relay')
    expect(found.detail('session locks the outbox'))
      .to.match(new RegExp(`^pid ${pid} forgotten, for \\d\\ds: `))
      .and.include(`select pg_terminate_backend(${pid})`)
    expect(found.detail('dead letters'), 'a locked table hides no other finding').to.include('lock timeout')
    expect(found.detail('outbox is late')).to.match(/^the oldest payment\.created waits for 5m.*relay is paused by ann/)

    await forgotten.query('rollback')
    await forgotten.end()
    await query(database.url, 'delete from pauses')
    const resumed = await doctor(env())
    expect(resumed.wrong).to.include.members([...gone, 'outbox is late', 'provider gave no answer'])
    expect(resumed.warnings).to.deep.equal(['dead letters'])
    expect(resumed.detail('dead letters')).to.match(/^queue: 1, the oldest for /)
    expect(resumed.detail('session locks the outbox')).to.equal(undefined)
  })
})
