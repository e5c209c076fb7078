import { randomUUID } from 'node:crypto'
import { defined, eventually } from '@cashflow/async'
import { answer, type Pipeline, type ScriptedServer, startPipeline, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createClient, type WebhookCheckReport } from '../src/index.ts'

/** What a receiver accepts that verifies nothing. */
const WRONGLY_TAKEN = ['forged_signature', 'missing_signature', 'changed_body', 'stale_timestamp']

describe('@cashflow/client: checks of receivers by a running system', function () {
  this.timeout(180_000)
  let pipeline: Pipeline
  let receiver: ScriptedServer

  before(async () => {
    const settings = { SECRETS_KEY: `${randomUUID()}${randomUUID()}`, WEBHOOK_ALLOW_PRIVATE: 'yes' }
    pipeline = await startPipeline({ api: 1, relay: 0, worker: 0, webhooks: 1 }, settings)
    receiver = await startScriptedServer()
  })
  after(async () => {
    await pipeline.stop()
    await receiver.close()
  })

  it('client: a check of a receiver without verification is finished by the webhooks service, and its report names what was wrongly taken', async () => {
    receiver.script = answer(200, {})
    const { url } = await defined(pipeline.processes.api[0], 'api').logged('listening')
    const { webhooks } = createClient({ url: String(url) })
    const endpoint = await webhooks.createEndpoint({ url: new URL('/hooks', receiver.url).href })
    const started = await webhooks.check(endpoint.id)
    expect(started).to.include({ kind: 'check', status: 'pending', report: null })
    const report: WebhookCheckReport = await eventually(
      async () => {
        const check = await webhooks.getCheck(endpoint.id, started.id)
        expect(check.status).to.equal('finished')
        if (!check.report) throw new Error('a finished check has no report')
        return check.report
      },
      { timeoutMs: 120_000 },
    )
    expect(report.result).to.equal('failed')
    const failed = report.cases.filter(({ result }) => result === 'failed').map(({ name }) => name)
    expect(failed).to.include.members(WRONGLY_TAKEN).and.not.include('valid')
    const requests = report.cases.flatMap((one) => one.requests)
    // Some requests only open connections.
    expect(receiver.seen.length).to.be.at.least(requests.length)
  })
})
