import { eventually, recordingLogger, startCollector } from '@cashflow/testing'
import { expect } from 'chai'
import { startTracing } from '../src/index.ts'

const SECRET = 'hunter2-of-the-collector'

describe('tracing', () => {
  async function start(url: string, flushMs?: number) {
    const { logger, linesOf, lines } = recordingLogger()
    const settings = { url: `${url}/v1/traces`, headers: { 'api-key': SECRET } }
    return {
      linesOf,
      lines,
      ...(await startTracing({
        ...{ service: 'cashflow-test', settings, logger },
        ...(flushMs !== undefined && { flushMs }),
      })),
    }
  }

  it('tracing: without a collector it has no spans', async () => {
    const settings = { url: undefined, headers: {} }
    const { spans, stop } = await startTracing({ service: 'test', settings, logger: recordingLogger().logger })
    expect(spans).to.equal(undefined)
    await stop()
  })

  it('tracing: a stop exports the last spans, with the process as their resource and the headers of the settings', async () => {
    const collector = await startCollector()
    const { spans, stop } = await start(collector.url)
    spans?.begin('one', undefined, { attributes: { count: 1 } }).end()
    await stop()
    const [span] = collector.spans
    expect(span).to.include({ service: 'cashflow-test', name: 'one', kind: 'INTERNAL', parentId: '' })
    expect(span?.attributes).to.deep.equal({ count: 1 })
    expect(span?.resource).to.include.keys('service.instance.id', 'service.version', 'service.namespace')
    expect(collector.headers[0]).to.include({ 'api-key': SECRET })
    await collector.close()
  })

  it('tracing: a stop exports a full queue', async () => {
    const collector = await startCollector()
    const { spans, stop } = await start(collector.url, 60_000)
    for (let count = 0; count < 4_000; count += 1) spans?.begin('one', undefined).end()
    await stop()
    expect(collector.spans).to.have.length(4_000)
    await collector.close()
  })

  it('tracing: a batch has a trace of its own, with a link to each member that is sampled', async () => {
    const collector = await startCollector()
    const { spans, stop } = await start(collector.url)
    const members = Array.from({ length: 500 }, (_, n) => `00-${'a'.repeat(32)}-${String(n + 1).padStart(16, '0')}-01`)
    spans?.batch('batch', [...members, `00-${'b'.repeat(32)}-${'b'.repeat(16)}-00`, undefined])?.end()
    expect(spans?.batch('none', [undefined, `00-${'b'.repeat(32)}-${'b'.repeat(16)}-00`])).to.equal(undefined)
    expect(spans?.batch('one', [members[0], undefined])).to.equal(undefined)
    expect(spans?.child('none', `00-${'b'.repeat(32)}-${'b'.repeat(16)}-00`)).to.equal(undefined)
    await stop()
    expect(collector.spans.map(({ name }) => name)).to.deep.equal(['batch'])
    expect(collector.spans[0]?.links).to.deep.equal(members.map((member) => member.slice(36, 52)))
    await collector.close()
  })

  for (const [what, answer] of [
    ['answers 500 with a page', [500, `<html>${SECRET}</html>`]],
    ['refuses its key', [401, 'no']],
  ] as const)
    it(`tracing: a collector that ${what} costs spans and one log line, without the secret`, async () => {
      const collector = await startCollector((response) => void response.writeHead(answer[0]).end(answer[1]))
      const { spans, stop, linesOf, lines } = await start(collector.url)
      for (let count = 0; count < 3_000; count += 1) spans?.begin('lost', undefined).end()
      await eventually(() => expect(collector.headers.length).to.be.at.least(3))
      await stop()
      await eventually(() => expect(linesOf('spans are lost, traces have gaps')).to.have.length(1))
      expect(JSON.stringify(lines)).to.not.include(SECRET)
      await collector.close()
    })

  it('tracing: with a collector that never answers, a full queue loses spans, and the stop takes about a second', async () => {
    const collector = await startCollector(() => {})
    const { spans, stop } = await start(collector.url)
    for (let count = 0; count < 20_000; count += 1) spans?.begin('lost', undefined).end()
    const startedAt = performance.now()
    await stop()
    expect(performance.now() - startedAt).to.be.within(500, 3_000)
    await collector.close()
  })

  it('tracing: with a collector that is away the stop takes about a second, and the log says that spans are lost', async () => {
    const { spans, stop, linesOf } = await start('http://127.0.0.1:1')
    spans?.begin('lost', undefined).end()
    const startedAt = performance.now()
    await stop()
    expect(performance.now() - startedAt).to.be.below(3_000)
    expect(linesOf('the last spans are lost, the collector did not take them in time')).to.have.length(1)
  })
})
