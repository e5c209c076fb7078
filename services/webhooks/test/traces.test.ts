import { DEFAULT_MERCHANT_ID, eventId } from '@cashflow/domain'
import { type Collector, eventually, nullLogger, startCollector } from '@cashflow/testing'
import { startTracing } from '@cashflow/tracing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { type Rig, startRig } from './rig.ts'
import { pass } from './time.ts'

const [TRACE, SPAN] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']

describe('traces of webhooks', () => {
  let rig: Rig
  let receiver: Receiver
  let collector: Collector

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
    collector = await startCollector()
  })

  afterEach(async () => {
    await rig.stop()
    await receiver.stop()
    await collector.close()
  })

  it('traces of webhooks: each attempt is a child of the request that created the payment, if that is sampled', async () => {
    const settings = { url: `${collector.url}/v1/traces`, headers: {} }
    const tracing = await startTracing({ service: 'cashflow-webhooks', settings, logger: nullLogger })
    const { id } = await rig.endpoint(receiver.url)
    let answered = 0
    receiver.answerWith(() => (++answered === 1 ? 503 : 204))
    await rig.start({ spans: tracing.spans })
    const payment = await rig.pay(DEFAULT_MERCHANT_ID, `00-${TRACE}-${SPAN}-01`)
    rig.wake()
    await eventually(async () => expect((await rig.deliveries())[0]).to.include({ attempts: 1 }))
    await pass(rig.database.url, 60_000)
    await rig.delivered()
    await rig.settle(payment)
    await rig.pay(DEFAULT_MERCHANT_ID, `00-${TRACE}-${SPAN}-00`)
    await rig.pay()
    rig.wake()
    await eventually(() => expect(receiver.received).to.have.lengthOf(5))
    await rig.delivered()
    await tracing.stop()
    for (const span of collector.spans)
      expect(span).to.include({ name: 'deliver webhook', kind: 'CLIENT', traceId: TRACE, parentId: SPAN })
    const shown = collector.spans.map(({ attributes, isError }) => [
      attributes['cashflow.webhook.event_id'],
      attributes['http.response.status_code'],
      attributes['cashflow.webhook.failed_attempts'],
      isError,
    ])
    expect(shown).to.deep.equal([
      [eventId(payment, 1), 503, 0, true],
      [eventId(payment, 1), 204, 1, false],
      [eventId(payment, 2), 204, 0, false],
    ])
    expect(collector.spans[0]?.attributes).to.include({
      'cashflow.payment_id': payment,
      'cashflow.webhook.endpoint_id': id,
    })
    expect(JSON.stringify(collector.spans), 'a URL may contain a secret').to.not.include('/hooks')
  })
})
