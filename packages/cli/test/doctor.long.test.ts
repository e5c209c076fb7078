import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { eventually } from '@cashflow/async'
import { uuidv7 } from '@cashflow/runtime'
import {
  createAuthority,
  createTestDatabase,
  createTestVhost,
  fetchLibfaketime,
  query,
  startPipeline,
  startPrivatePostgres,
  startTlsPostgres,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { runCashflow } from './run-cashflow.ts'
import { doctor } from './run-doctor.ts'

const NO_PROCESS = 'processes'

describe('cashflow doctor', function () {
  this.timeout(300_000)
  let database: TestDatabase

  beforeEach(async () => {
    database = await createTestDatabase()
  })
  afterEach(() => database.drop())

  const env = () => ({ DATABASE_URL: database.url })

  it('doctor: finds nothing wrong with a system that works, and shows no secret', async () => {
    const vhost = await createTestVhost()
    const pipeline = await startPipeline(
      { api: 1, relay: 1, worker: 1 },
      {},
      { database: { ...database, drop: async () => {} }, vhost },
    )
    const found = await doctor({ ...env(), RABBITMQ_URL: vhost.url, KEY_PEPPER: 'p'.repeat(32) })
    expect(found.wrong).to.deep.equal([])
    expect(found.detail('setting KEY_PEPPER')).to.equal('*** (environment)')
    expect(found.detail('setting DATABASE_URL'))
      .to.include(':***@')
      .and.to.match(/ \(environment\)$/)
    expect(found.detail('queue payments')).to.match(/^\d+ ready, 1 consumers$/)
    const shown = await runCashflow(['doctor'], { ...env(), RABBITMQ_URL: vhost.url })
    expect(shown.stdout).to.match(/^schema +ok +as new as this version needs$/m)

    await runCashflow(['pause', 'relay', '--reason', 'a move', '--actor', 'ann'], env())
    await eventually(async () => {
      const paused = await doctor({ ...env(), RABBITMQ_URL: vhost.url })
      expect(paused.detail('queue payments.dead')).to.equal(
        '0 ready, 0 consumers: relay is paused by ann: cashflow resume relay',
      )
      expect(paused.wrong).to.deep.equal([])
      expect(paused.detail('pause of relay')).to.match(/^by ann, for \S+: a move\. To end it: cashflow resume relay$/)
    })
    await runCashflow(['resume', 'relay'], env())

    await Promise.all(pipeline.processes.worker.map((worker) => worker.stop()))
    const without = await doctor({ ...env(), RABBITMQ_URL: vhost.url })
    expect(without.wrong).to.deep.equal(['processes', 'queue payments', 'queue payments.dead'])
    expect(without.detail('topology')).to.match(/^exchanges and queues are as this version declares them/)
    expect(without.detail('processes')).to.equal('1 api, 1 relay, 0 worker run. Start at least one worker.')
    await pipeline.stop()
  })

  it('doctor: names settings that are not usable, and PostgreSQL that cannot be reached or refuses the login', async () => {
    const bad = await doctor({ DB_PORT: 'x' })
    expect(bad.detail('settings')).to.match(/DB_PORT: must be a port/)
    const vhost = await createTestVhost()
    const nowhere = { DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/nowhere', RABBITMQ_URL: vhost.url }
    const away = await doctor(nowhere)
    expect(away.wrong).to.deep.equal(['PostgreSQL', 'queue payments', 'queue payments.dead', 'topology'])
    expect(away.detail('PostgreSQL')).to.match(/ECONNREFUSED.*Check DATABASE_URL/)
    expect(away.detail('RabbitMQ'), 'what needs no PostgreSQL is checked').to.match(/^connected to/)
    await vhost.drop()
    const url = new URL(database.url)
    url.password = 'hunter2'
    const refused = await doctor({ DATABASE_URL: url.href, DB_PORT: '5432' })
    expect(refused.detail('PostgreSQL')).to.match(/^PostgreSQL refuses the connection/)
    expect(refused.detail('setting DB_PORT')).to.equal('5432 (environment), without effect: a URL is set')
  })

  it('doctor: misses a webhooks process where an endpoint is enabled, and says that healthy endpoints wait', async () => {
    const isMissed = async () => /0 webhooks run\..*one webhooks/.test((await doctor(env())).detail('processes') ?? '')
    expect(await isMissed()).to.equal(false)
    await query(
      database.url,
      `with e as (insert into webhook_endpoints (id, merchant_id, url, ordering, secret, secret_key_id)
          select gen_random_uuid(), id, 'https://example.com', 'none', '', 'k' from merchants limit 1 returning id, merchant_id)
        insert into webhook_queues (endpoint_id, merchant_id, is_failing, due_at)
        select id, merchant_id, false, now() - interval '1 minute' from e`,
    )
    expect(await isMissed()).to.equal(true)
    expect((await doctor(env())).detail('webhooks are late')).to.match(/^to 1 endpoints that answer, for 1m/)
  })

  it('doctor: finds an old schema, a database of the other mode, and a session that loses commits', async () => {
    await query(database.url, 'delete from cashflow_migration where name = (select max(name) from cashflow_migration)')
    const old = await doctor({ ...env(), SANDBOX: 'no' })
    expect(old.wrong).to.deep.equal(['schema', 'sandbox or live', NO_PROCESS])
    expect(old.detail('schema')).to.include('Run "npm run migrate"')
    expect(old.detail('sandbox or live')).to.include('Correct SANDBOX')
    await query(database.url, `alter database ${database.name} set synchronous_commit = off`)
    const lossy = await doctor(env())
    expect(lossy.wrong).to.deep.equal(['PostgreSQL'])
    expect(lossy.detail('PostgreSQL')).to.include('synchronous_commit is off')
  })

  it('doctor: finds a server that may lose data, that lacks its standby, or has too few connections', async () => {
    const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '30' }
    const postgres = await startPrivatePostgres(settings)
    await query(
      postgres.url,
      `insert into instances (id, role, instance, version, started_at, seen_at, counters)
        values ('${uuidv7()}', 'api', 'host:1', '1', now(), now() + interval '1 hour', '{}'), ('${uuidv7()}', 'relay', 'host:2', '1', now(), now() + interval '1 hour', '{}'),
          ('${uuidv7()}', 'worker', 'host:3', '1', now(), now() + interval '1 hour', '{}')`,
    )
    const alone = await doctor({ DATABASE_URL: postgres.url, REQUIRE_STANDBY: 'yes' })
    expect(alone.detail('standby')).to.include('REQUIRE_STANDBY is yes')
    expect(alone.wrong).to.deep.equal(['standby', 'sessions', 'queues of relays'])
    await query(postgres.url, "alter system set synchronous_standby_names = 'ANY 1 (second)'")
    await query(postgres.url, 'select pg_reload_conf()')
    const found = await doctor({ DATABASE_URL: postgres.url })
    expect(found.wrong).to.deep.equal(['standby', 'sessions', 'queues of relays'])
    expect(found.detail('durability')).to.include('Set fsync and full_page_writes to on')
    expect(found.detail('standby')).to.include('so each COMMIT waits')
    expect(found.detail('sessions')).to.match(/up to \d+ of \d+ that PostgreSQL allows\. Raise max_connections/)
    await postgres.stop()
  })

  // Promise 109
  it('doctor: says what is encrypted and verified, and when each certificate ends', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000)
    const authority = await createAuthority(folder)
    const client = await authority.issue('client', { notAfter: inDays(10) })
    const server = await startTlsPostgres(await authority.issue('server', { notAfter: inDays(90) }))
    const { host } = new URL(server.url)
    const certificate = `certificate of PostgreSQL at ${host}`
    const files = { DB_SSLROOTCERT: authority.ca, DB_SSLCERT: client.cert, DB_SSLKEY: client.key }
    const env = { DATABASE_URL: server.url }

    const verified = await doctor({ ...env, ...files })
    expect(verified.wrong).to.deep.equal([NO_PROCESS])
    expect(verified.detail('TLS to PostgreSQL')).to.match(
      /^encrypted with TLSv1\.3, TLS_\w+; certificate and host name are verified by /,
    )
    expect(verified.detail(certificate)).to.match(/^CN=server: valid until \d{4}-\d\d-\d\d, for 89 days$/)
    expect(verified.detail('authority of PostgreSQL, DB_SSLROOTCERT')).to.match(/^CN=Test authority .*, for 364 days$/)
    expect(verified.detail('own certificate, DB_SSLCERT')).to.match(/^CN=client: ends on .*, in 9 days\. Replace it\.$/)
    expect(verified.warnings).to.deep.equal(['own certificate, DB_SSLCERT'])

    const unverified = await doctor({ ...env, DB_SSLMODE: 'require' })
    expect(unverified.warnings).to.deep.equal(['TLS to PostgreSQL'])
    expect(unverified.detail('TLS to PostgreSQL')).to.include('the server is not verified')
    const plain = await doctor(env)
    expect([plain.warnings, plain.detail('TLS to PostgreSQL')]).to.deep.equal([[], 'not encrypted, on this machine'])

    await server.serve(await authority.issue('server', { notAfter: inDays(-3) }))
    const expired = await doctor({ ...env, ...files })
    expect(expired.wrong).to.deep.equal(['PostgreSQL', certificate])
    expect(expired.detail('PostgreSQL')).to.match(/^PostgreSQL's certificate has expired/)
    expect(expired.detail(certificate)).to.match(/^CN=server: ended on \d{4}-\d\d-\d\d\. Replace it\.$/)
    await server.stop()
    await rm(folder, { recursive: true })
  })

  it('doctor: names the file of a secret, and not the secret', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'cashflow-test-')), 'url')
    await writeFile(file, `${database.url}\n`)
    const found = await doctor({ DATABASE_URL_FILE: file })
    expect(found.wrong).to.deep.equal([NO_PROCESS])
    expect(found.detail('setting DATABASE_URL')).to.include(':***@').and.include(`(the file ${file})`)
    await rm(dirname(file), { recursive: true })
  })

  it("doctor: finds that this machine's clock differs", async () => {
    const library = await fetchLibfaketime()
    if (library === undefined) return // Neither installed nor to be downloaded, as testing's own test says.
    const found = await doctor({ ...env(), LD_PRELOAD: library, FAKETIME: '+1h', FAKETIME_DONT_FAKE_MONOTONIC: '1' })
    expect(found.wrong).to.deep.equal(['clock of PostgreSQL', NO_PROCESS])
    expect(found.detail('clock of PostgreSQL')).to.match(/^(59m|1h).* behind this machine's/)
  })

  it('doctor: finds RabbitMQ that cannot be reached, refuses the login, or lacks the queue', async () => {
    const away = await doctor({ ...env(), RABBITMQ_URL: 'amqp://u:hunter2@127.0.0.1:1/' })
    expect(away.wrong).to.deep.equal([NO_PROCESS, 'RabbitMQ'])
    expect(away.detail('RabbitMQ')).to.match(/^cannot be reached: .*ECONNREFUSED/)
    const vhost = await createTestVhost()
    const url = new URL(vhost.url)
    url.password = 'hunter2'
    const refused = await doctor({ ...env(), RABBITMQ_URL: url.href })
    expect(refused.detail('RabbitMQ')).to.match(/^cannot be reached: .*(ACCESS|403|refused)/i)
    const empty = await doctor({ ...env(), RABBITMQ_URL: vhost.url })
    expect(empty.wrong).to.deep.equal([NO_PROCESS, 'queue payments', 'queue payments.dead', 'topology'])
    expect(empty.detail('topology')).to.include('exchange payments is missing; exchange payments.dead is missing')
    await vhost.drop()
  })

  it('doctor: finds a queue with other arguments and an exchange of another type, and changes neither', async () => {
    const vhost = await createTestVhost()
    const { request } = vhost.management
    await request('PUT', `/exchanges/${vhost.name}/payments`, { type: 'fanout', durable: true })
    await request('PUT', `/queues/${vhost.name}/payments`, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum' },
    })
    const found = await doctor({ ...env(), RABBITMQ_URL: vhost.url })
    expect(found.detail('topology'))
      .to.match(/inequivalent arg 'type' for exchange 'payments'/)
      .and.match(/inequivalent arg '.+' for queue 'payments'/)
      .and.match(/queue payments\.dead is missing/)
    expect(await request('GET', `/queues/${vhost.name}`)).to.have.length(1)
    expect(await request('GET', `/exchanges/${vhost.name}/payments`)).to.include({ type: 'fanout' })
    await vhost.drop()
  })
})
