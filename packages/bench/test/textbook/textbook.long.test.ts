import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  openPool,
  type TestDatabase,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import type pg from 'pg'
import { type Running, startProcess } from '../../src/process.ts'

const SOURCES = join(import.meta.dirname, '../../src/textbook')

describe('textbook pipeline', () => {
  let dir: string
  let database: TestDatabase
  let vhost: TestVhost
  let db: pg.Pool
  const processes: Running[] = []

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    ;[database, vhost] = await Promise.all([createTestDatabase(), createTestVhost()])
    db = openPool(database.url)
    await db.query('drop schema public cascade')
    await db.query('create schema public')
    await db.query(await readFile(join(SOURCES, 'schema.sql'), 'utf8'))
    for (const name of ['api', 'relay', 'worker']) processes.push(await start(name))
  })

  after(async () => {
    await Promise.all(processes.map((running) => running.stop()))
    await db.end()
    await database.drop()
    await vhost.drop()
    await rm(dir, { recursive: true, force: true })
  })

  function start(name: string, settings: Record<string, string> = {}): Promise<Running> {
    const place = { databaseUrl: database.url, brokerUrl: vhost.url }
    const env = { PROVIDER_SUCCESS_RATE: '1', ...settings }
    return startProcess({ name, file: join(SOURCES, `${name}.ts`), place, env, dir })
  }

  async function create(reference: string): Promise<{ status: number; id: string }> {
    const response = await fetch(`${processes[0]?.url}/payments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ amount: 100.5, currency: 'USD', reference }),
    })
    const { id = '' } = (await response.json()) as { id?: string }
    return { status: response.status, id }
  }

  async function expectSettled(id: string): Promise<void> {
    await eventually(async () => {
      const { rows } = await db.query('select status, amount from payments where id = $1', [id])
      expect(rows).to.deep.equal([{ status: 'SUCCESS', amount: '100.50' }])
    })
  }

  it('takes a payment from POST to SUCCESS, and publishes both of its messages', async () => {
    const { status, id } = await create('first')
    expect(status).to.equal(201)
    await expectSettled(id)
    await eventually(async () => {
      const { rows } = await db.query(
        `select topic from outbox where payload->>'payment_id' = $1
        and published_at is not null order by id`,
        [id],
      )
      expect(rows).to.deep.equal([{ topic: 'payment.created' }, { topic: 'payment.succeeded' }])
    })
  })

  it('refuses a reference that is taken', async () => {
    expect(await create('twice')).to.include({ status: 201 })
    expect(await create('twice')).to.include({ status: 409 })
    const { rows } = await db.query(`select count(*)::int from payments where reference = 'twice'`)
    expect(rows).to.deep.equal([{ count: 1 }])
  })

  it('changes nothing when a message is delivered again', async () => {
    const { id } = await create('again')
    await expectSettled(id)
    const look = async () =>
      (
        await db.query(
          `select p.*, (select array_agg(o.id order by o.id) from outbox o where payload->>'payment_id' = $1)
        from payments p where p.id::text = $1`,
          [id],
        )
      ).rows
    const before = await look()
    await publish(id)
    // Messages are processed one after the other. When this one is settled, the duplicate was processed.
    await expectSettled((await create('behind')).id)
    expect(await look()).to.deep.equal(before)
  })

  it('finishes the payment that it is processing when it is stopped', async () => {
    await processes.pop()?.stop()
    const slow = await start('worker', { PROVIDER_DELAY_MS: '1000' })
    const { id } = await create('in flight')
    await eventually(async () => {
      const { rows } = await db.query(
        `select 1 from pg_stat_activity where datname = current_database() and state = 'idle in transaction'
          and query like '%from "payments"%for update'`,
      )
      expect(rows).to.have.length(1)
    })
    await slow.stop()
    await expectSettled(id)
  })

  async function publish(paymentId: string): Promise<void> {
    const answer = await vhost.management.request('POST', `/exchanges/${vhost.name}/payments/publish`, {
      properties: {},
      routing_key: 'payment.created',
      payload: JSON.stringify({ payment_id: paymentId }),
      payload_encoding: 'string',
    })
    expect(answer).to.deep.equal({ routed: true })
  }
})
