import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { type CollectedSpan, type Collector, eventually } from '../src/index.ts'
import { type Pipeline, postTo } from '../src/pipeline.ts'
import { REPOSITORY } from '../src/repository.ts'

export const PATIENTLY = { timeoutMs: 60_000 }

/** A traceparent of a client. */
export function clientTrace(flags: '00' | '01') {
  const traceId = randomBytes(16).toString('hex')
  const spanId = randomBytes(8).toString('hex')
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

export const namesOf = (spans: readonly CollectedSpan[]) => spans.map(({ name }) => name).toSorted()

/** The one span with this name. */
export function only(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((span) => span.name === name)
  expect(found, `${name} among ${namesOf(spans)}`).to.have.length(1)
  return defined(found[0], name)
}

/** Runs a command of an operator. */
export function cashflow(databaseUrl: string, ...args: string[]) {
  return promisify(execFile)(process.execPath, [join(REPOSITORY, 'packages/cli/src/main.ts'), ...args], {
    env: { APP_ENV: 'production', SANDBOX: 'yes', DATABASE_URL: databaseUrl },
  })
}

/** Payments of a pipeline whose spans a collector gets. */
export function tracedPayments(pipeline: Pipeline, collector: Collector) {
  const spansOf = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId)
  const childrenOf = (parent: CollectedSpan) =>
    spansOf(parent.traceId).filter((span) => span.parentId === parent.spanId)
  const query = async (text: string, id: string) => (await pipeline.db.query(text, [id])).rows[0]

  async function post(traceparent: string, url?: string): Promise<string> {
    const api = defined(pipeline.processes.api[0], 'api')
    const headers = { traceparent }
    const { id, status } = await postTo(
      url ?? String((await api.logged('listening')).url),
      crypto.randomUUID(),
      headers,
    )
    expect(status).to.equal(201)
    return id
  }

  return {
    spansOf,
    childrenOf,
    query,
    post,
    settled: (id: string) =>
      eventually(async () => {
        expect(await query('select status from payments where id = $1', id)).to.deep.equal({ status: 'SUCCESS' })
      }, PATIENTLY),
    /** The trace of the event `payment.created`. */
    createdTrace: async (id: string) =>
      (await query('select trace from payment_events where payment_id = $1 and sequence = 1', id)).trace,
    /** Waits until these spans, and no others, are below the request's. Returns the request's span. */
    traced: (traceId: string, children: readonly string[]): Promise<CollectedSpan> =>
      eventually(() => {
        const request = only(spansOf(traceId), 'POST /payments')
        expect(namesOf(childrenOf(request))).to.deep.equal(children.toSorted())
        return request
      }, PATIENTLY),
    /** Stops the workers, creates a payment, and loses its message. */
    async postAndLose(traceparent: string): Promise<string> {
      await Promise.all(pipeline.processes.worker.map((worker) => worker.stop()))
      const id = await post(traceparent)
      await eventually(async () => {
        const { rows } = await pipeline.db.query('select count(*)::int as waiting from outbox_messages')
        expect(rows[0].waiting).to.equal(0)
      }, PATIENTLY)
      await pipeline.purge()
      return id
    },
  }
}
