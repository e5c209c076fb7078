import { readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { answer, eventually, type ScriptedServer, type ServiceProcess, startScriptedServer } from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

// With a prefetch of 1, the next delivery of the frozen worker's payment goes to the other worker.
const SETTINGS = {
  PROVIDER: 'http',
  PROVIDER_DEADLINE_MS: '60000',
  WORKER_PREFETCH: '1',
  RECONCILE_INTERVAL_MS: '100',
}

describe('worker process that was frozen past its lease', () => {
  let server: ScriptedServer
  let pipeline: Pipeline
  let charges: ServerResponse[]
  let frozen: ServiceProcess
  let id: string

  beforeEach(async () => {
    server = await startScriptedServer()
    charges = []
    server.script = (request, response) => {
      if (request.method === 'GET') answer(404)(request, response)
      else charges.push(response)
    }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, { ...SETTINGS, PROVIDER_URL: server.url })
    frozen = defined(pipeline.processes.worker[0], 'worker')
  })
  afterEach(async () => {
    frozen.kill('SIGCONT')
    await server.close()
    await pipeline.stop()
  })

  const charged = (times: number) => eventually(() => expect(charges).to.have.length(times), { timeoutMs: 60_000 })
  const respond = (index: number, body: object) => charges[index]?.writeHead(200).end(JSON.stringify(body))
  const isStopped = async () => / T /.test(await readFile(`/proc/${frozen.pid}/stat`, 'utf8'))
  const payment = async () => {
    const { rows } = await pipeline.db.query(
      `select status, failure_code, attempts, claim_token, array_agg(e.type order by sequence) as history
       from payments p join payment_events e on e.payment_id = p.id where p.id = $1 group by p.id`,
      [id],
    )
    return rows[0]
  }
  const settled = () => eventually(async () => expect(await payment()).to.include({ status: 'SUCCESS' }))

  /** Freezes the worker during a charge, sends the answer of the charge, and lets another worker charge the payment. */
  async function takeOver(): Promise<void> {
    ;({ id } = await pipeline.post('frozen'))
    await charged(1)
    frozen.kill('SIGSTOP')
    await eventually(async () => expect(await isStopped()).to.equal(true))
    respond(0, { status: 'declined', failure_code: 'late' })
    await pipeline.start('worker')
    await pipeline.db.query('update payments set lease_until = now(), redrive_at = now()')
    await charged(2)
  }

  async function wake(): Promise<void> {
    frozen.kill('SIGCONT')
    expect(await frozen.logged('the claim was lost, its result is not stored')).to.include({ payment_id: id })
  }

  async function expectTheOthersResult(): Promise<void> {
    const { claim_token: _, ...end } = await payment()
    const history = ['payment.created', 'payment.succeeded']
    expect(end).to.deep.equal({ status: 'SUCCESS', failure_code: null, attempts: 1, history })
    expect(frozen.logs.map(({ message }) => message)).not.to.include('payment settled')
  }

  // Promise 16
  it('changes nothing when it wakes while another worker has claimed the payment', async () => {
    await takeOver()
    const before = await payment()
    await wake()
    expect(await payment())
      .to.deep.equal(before)
      .and.to.include({ status: 'PENDING' })
    respond(1, { status: 'approved' })
    await settled()
    await expectTheOthersResult()
  }).timeout(180_000)

  // Promise 16
  it('changes nothing when it wakes after another worker has settled the payment', async () => {
    await takeOver()
    respond(1, { status: 'approved' })
    await settled()
    await wake()
    await expectTheOthersResult()
  }).timeout(180_000)
})
