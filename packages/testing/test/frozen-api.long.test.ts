import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { createTestDatabase, eventually, type ServiceProcess, startTcpProxy, type TcpProxy } from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

describe('api process that was frozen while it waited for the database', () => {
  let proxy: TcpProxy
  let pipeline: Pipeline
  let api: ServiceProcess
  let answers: ReturnType<typeof post>[]

  beforeEach(async () => {
    const database = await createTestDatabase()
    proxy = await startTcpProxy(database.url)
    pipeline = await startPipeline({ api: 0, relay: 1, worker: 1 }, {}, { database })
    api = await pipeline.start('api', { DATABASE_URL: proxy.url })
    answers = []
  })
  afterEach(async () => {
    api.kill('SIGCONT')
    await pipeline.stop()
    await proxy.stop()
  })

  const post = (reference: string) => pipeline.post(reference).then(({ status, id }) => ({ reference, status, id }))
  const isStopped = async () => / T /.test(await readFile(`/proc/${api.pid}/stat`, 'utf8'))
  /** Counts the api's open transactions in PostgreSQL. */
  const transactions = async () => {
    const { rows } = await pipeline.db.query(
      `select 1 from pg_stat_activity
       where application_name like 'cashflow-api (%' and datname = current_database() and state <> 'idle'`,
    )
    return rows.length
  }
  const stored = async () => (await pipeline.db.query('select reference, id from payments')).rows

  /** Starts a request, and holds the answer to the statement that contains this text at the proxy. */
  async function postUpTo(text: string, reference: string) {
    const held = proxy.held
    proxy.holdAnswerTo(text)
    answers.push(post(reference))
    await eventually(() => expect(proxy.held).to.equal(held + 1))
  }

  // Promises 1, 3
  it('answers only stored payments with 201, and recovers by itself', async () => {
    const holder = await pipeline.db.connect()
    await holder.query('begin')
    await holder.query(
      `insert into payments (id, merchant_id, reference, amount_minor, currency, status)
       select gen_random_uuid(), id, 'waits', 1, 'USD', 'PENDING' from merchants`,
    )
    answers.push(post('waits'))
    await eventually(async () => expect(await transactions()).to.equal(1))
    await postUpTo('with "given"', 'stored')
    api.kill('SIGSTOP')
    await eventually(async () => expect(await isStopped()).to.equal(true))
    proxy.restore()
    // PostgreSQL's timeouts end the statement that waits for a lock, so no transaction of the frozen process stays open.
    await eventually(async () => expect(await transactions()).to.equal(0), { timeoutMs: 60_000 })
    expect((await stored()).map(({ reference }) => reference)).to.deep.equal(['stored'])
    await holder.query('rollback')
    holder.release()
    api.kill('SIGCONT')

    const seen = await Promise.all(answers)
    const rows = await stored()
    for (const { reference, status, id } of seen) {
      expect(status, reference).to.be.oneOf([201, 503])
      if (status === 201) expect(rows).to.deep.include({ reference, id })
    }
    for (const { reference } of seen) {
      await eventually(async () => expect((await post(reference)).status).to.be.oneOf([201, 409]))
    }
    await eventually(async () => {
      const { rows } = await pipeline.db.query("select 1 from payments where status <> 'PENDING'")
      expect(rows).to.have.length(2)
    })
  }).timeout(180_000)
})
