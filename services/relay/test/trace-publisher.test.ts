import type { OutboxMessage, PublishOutcome } from '@cashflow/outbox'
import { nullLogger, startCollector } from '@cashflow/testing'
import { startTracing } from '@cashflow/tracing'
import { expect } from 'chai'
import { tracePublisher } from '../src/trace-publisher.ts'

const PLACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7'

function message(createdAt: Date, traceparent?: string, mandatory = true): OutboxMessage {
  const headers: Record<string, string> = traceparent === undefined ? {} : { traceparent }
  const rest = { key: 'k', topic: 'thing.happened', body: '{}', mandatory, attempts: 0 }
  return { messageId: crypto.randomUUID(), headers, createdAt, ...rest }
}

describe('traced publisher', () => {
  it('traced publisher: records the publish of sampled messages by its outcome, and the wait of mandatory ones, and changes none', async () => {
    const collector = await startCollector()
    const settings = { url: `${collector.url}/v1/traces`, headers: {} }
    const { spans, stop } = await startTracing({ service: 'test', settings, logger: nullLogger })
    if (!spans) throw new Error('no spans')
    const outcomes: PublishOutcome[] = [
      { status: 'confirmed' },
      { status: 'unknown', reason: 'not confirmed' },
      ...Array.from({ length: 3 }, () => ({ status: 'confirmed' }) as const),
    ]
    let published: readonly OutboxMessage[] = []
    const publisher = {
      async publish(messages: readonly OutboxMessage[]) {
        published = messages
        return outcomes
      },
      redeclare: async () => true,
      whenReady: async () => {},
    }
    const ahead = new Date(Date.now() + 60_000)
    const messages = [
      ...[message(new Date(Date.now() - 5_000), `${PLACE}-01`), message(ahead, `${PLACE}-01`)],
      ...[message(new Date(), `${PLACE}-00`), message(new Date()), message(new Date(), `${PLACE}-01`, false)],
    ]
    const traced = tracePublisher(publisher, spans, 'things')
    expect(await traced.publish(messages, { deadlineMs: 1_000 })).to.equal(outcomes)
    expect(published).to.equal(messages)
    const odd = { ...messages[0], headers: null } as unknown as OutboxMessage
    expect(await traced.publish([odd], { deadlineMs: 1_000 }), 'a row that was written by hand').to.equal(outcomes)
    await stop()

    const named = (name: string) => collector.spans.filter((span) => span.name === name)
    const waits = named('outbox').map(({ startMs, endMs }) => Math.round((endMs - startMs) / 1_000))
    expect(waits, 'seconds; a clock that is ahead counts as no wait').to.deep.equal([5, 0])
    const sends = named('send things:thing.happened')
    expect(sends.map(({ isError }) => isError)).to.deep.equal([false, true, false])
    expect(sends[1]?.attributes).to.include({ 'error.type': 'unknown', 'messaging.message.id': messages[1]?.messageId })
    const [batch] = named('send things')
    expect(batch?.links).to.deep.equal(sends.map(({ spanId }) => spanId))
    expect(batch?.attributes).to.include({ 'messaging.batch.message_count': 5 })
    expect(collector.spans).to.have.length(6)
    await collector.close()
  })
})
