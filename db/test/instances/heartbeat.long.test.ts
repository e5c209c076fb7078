import { eventually, type Pipeline, type PrivatePostgres, startPipeline, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'

interface Row {
  readonly id: string
  readonly role: string
  readonly instance: string
  readonly version: string
  readonly started: string
  readonly idle: number
  readonly beats: number
  readonly depths: Readonly<Record<string, number>> | null
}

describe('heartbeats of real processes', () => {
  let postgres: PrivatePostgres
  let pipeline: Pipeline
  beforeEach(async () => {
    postgres = await startPrivatePostgres()
    const database = { url: postgres.url, drop: () => postgres.stop() }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 2 }, {}, { database })
  })
  afterEach(() => pipeline.stop())

  const rows = async () => {
    const { rows } = await pipeline.db.query<Row>(`
      select id, role, instance, version, started_at::text as started, queue_depths as depths,
        extract(epoch from clock_timestamp() - seen_at)::float8 as idle,
        (counters ->> 'cashflow_heartbeats_total')::float8 as beats
      from instances order by role, started_at`)
    return rows
  }
  const rowOf = async (pid: number | undefined) => (await rows()).find(({ instance }) => instance.endsWith(`:${pid}`))
  const roles = async () => (await rows()).map(({ role }) => role)
  const ALL = ['api', 'relay', 'worker', 'worker']

  // Promise 103
  it('heartbeats: each process has a row whose counters move, and a clean stop deletes it', async () => {
    await eventually(async () => expect(await roles()).to.deep.equal(ALL))
    await eventually(async () => {
      for (const { beats, idle } of await rows()) {
        expect(beats).to.be.above(1)
        expect(idle).to.be.below(5)
      }
    })
    // A relay looks at the queue every 10 seconds, and the first look may come before the queue exists.
    await eventually(async () => expect((await rows())[1]?.depths).to.deep.equal({ payments: 0 }))
    expect((await rows()).map(({ version }) => version)).to.deep.equal(['0.1.0', '0.1.0', '0.1.0', '0.1.0'])
    for (const role of ['api', 'relay', 'worker'] as const)
      expect(await pipeline.processes[role][0]?.stop()).to.equal(0)
    expect(await roles()).to.deep.equal(['worker'])
  })

  it('heartbeats: a killed process leaves a row that ages, and its successor has one of its own', async () => {
    await eventually(async () => expect(await roles()).to.deep.equal(ALL))
    const [killed] = pipeline.processes.worker
    killed?.kill('SIGKILL')
    await killed?.exited
    await pipeline.start('worker')
    await eventually(async () => expect((await rowOf(killed?.pid))?.idle).to.be.above(6))
    const others = (await rows()).filter(({ instance }) => !instance.endsWith(`:${killed?.pid}`))
    expect(others.map(({ role }) => role)).to.deep.equal(ALL)
    for (const { idle } of others) expect(idle).to.be.below(5)
  })

  // Promise 103
  it('heartbeats: a process that was frozen, and whose row was pruned, writes it again with the time of its start', async () => {
    await eventually(async () => expect(await roles()).to.deep.equal(ALL))
    const [frozen] = pipeline.processes.worker
    frozen?.kill('SIGSTOP')
    await eventually(async () => expect((await rowOf(frozen?.pid))?.idle).to.be.above(3))
    const before = await rowOf(frozen?.pid)
    await pipeline.db.query('delete from instances where id = $1', [before?.id])
    frozen?.kill('SIGCONT')
    await eventually(async () => expect((await rowOf(frozen?.pid))?.beats).to.be.above(before?.beats ?? 0))
    const after = await rowOf(frozen?.pid)
    expect(after?.id).to.equal(before?.id)
    expect(Date.parse(after?.started ?? '')).to.be.closeTo(Date.parse(before?.started ?? ''), 1_000)
  })

  // Promise 103
  it('heartbeats: after a crash of PostgreSQL the running processes write their rows again', async () => {
    await eventually(async () => expect(await roles()).to.deep.equal(ALL))
    const before = await rows()
    const [dead] = pipeline.processes.worker
    dead?.kill('SIGKILL')
    await postgres.crash()
    await postgres.start()
    await eventually(async () => expect(await roles()).to.deep.equal(['api', 'relay', 'worker']))
    const ids = before.filter(({ instance }) => !instance.endsWith(`:${dead?.pid}`)).map(({ id }) => id)
    expect((await rows()).map(({ id }) => id)).to.have.members(ids)
  })
})
