import { pause } from '@cashflow/async'
import { answer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { Webhook } from 'standardwebhooks'
import { CHECK_NAMES, checkReceiver, createSender, type ReceiverReport, type Sender } from '../src/index.ts'
import { type CheckEvent, type GradedReceiver, type Steps, startReceiver } from './graded-receiver.ts'
import { BROKEN, SECRET } from './grader-mistakes.ts'

describe('checkReceiver', () => {
  let sender: Sender
  let receiver: GradedReceiver
  before(() => {
    sender = createSender({ policy: { allowPrivate: true } })
  })
  after(() => sender.close())
  afterEach(() => receiver.close())

  async function check(broken: Partial<Steps> = {}, options = {}): Promise<ReceiverReport> {
    receiver = await startReceiver(SECRET, broken)
    return await checkReceiver({ sender, url: receiver.url, secrets: [SECRET], ...options })
  }
  const failedIn = ({ cases }: ReceiverReport) =>
    cases.filter(({ result }) => result === 'failed').map(({ name }) => name)

  it('receiver check: finds nothing in a right receiver, and shows each case with its duration', async () => {
    const report = await check()
    expect(report.cases.filter(({ result, detail }) => result !== 'passed' || detail !== null)).to.deep.equal([])
    expect(report.result).to.equal('passed')
    expect(report.cases.map(({ name }) => name)).to.deep.equal(CHECK_NAMES)
    for (const { durationMs } of report.cases.flatMap(({ requests }) => requests))
      expect(durationMs).to.be.within(0, report.slowestMs ?? -1)
  })

  // Promise 129
  it('receiver check: all its events have the type webhook.check, and name no payment', async () => {
    await check()
    expect(receiver.events).to.have.length.above(8)
    for (const { type, data } of receiver.events) {
      expect(type).to.match(/^webhook\.check(\.[0-9a-f]{8})?$/)
      expect(data.id, 'a UUID of version 4: payments have version 7').to.match(/^.{14}4/)
      expect(data).to.not.have.any.keys('status', 'amount', 'reference', 'currency')
    }
  })

  for (const [title, broken, found] of BROKEN)
    it(`receiver check: finds a receiver that ${title}`, async () => {
      const report = await check(broken)
      expect(failedIn(report)).to.deep.equal(found)
      expect(report.result).to.equal('failed')
      for (const { result, detail } of report.cases) if (result === 'failed') expect(detail).to.match(/^[A-Z].{30,}\.$/)
    }).timeout(120_000)

  it('receiver check: finds a receiver that looks for a duplicate before it waits for its database', async () => {
    // Both have looked before the first one stores.
    const arrived: (() => void)[] = []
    const report = await check({
      beforeStoring: async ({ data }) => {
        if (data.check !== 'simultaneous_duplicates') return
        await new Promise<void>((resolve) => {
          arrived.push(resolve)
          if (arrived.length === 2) for (const go of arrived.splice(0)) go()
        })
      },
    })
    expect(failedIn(report)).to.deep.equal(['simultaneous_duplicates'])
  })

  it('receiver check: finds a receiver that answers slowly', async () => {
    const report = await check({ beforeAnswer: () => pause(2_050) }, { kind: 'ping' })
    expect(failedIn(report)).to.deep.equal(['answer_time'])
    expect(report.slowestMs).to.be.at.least(2_000)
  }).timeout(30_000)

  it('receiver check: a receiver that blocks its sender after a forgery is found', async () => {
    let isBlocked = false
    const webhook = new Webhook(SECRET)
    const report = await check({
      verify(body, headers) {
        if (isBlocked) throw new Error('blocked')
        try {
          return webhook.verify(body, headers) as CheckEvent
        } catch (error) {
          isBlocked = true
          throw error
        }
      },
    })
    expect(failedIn(report)).to.deep.equal(['valid_again'])
  })

  it('receiver check: a receiver whose process ends at a forgery is found, and nothing is judged after that', async () => {
    const webhook = new Webhook(SECRET)
    const { cases, result } = await check({
      verify(body, headers) {
        try {
          return webhook.verify(body, headers) as CheckEvent
        } catch (error) {
          receiver.close()
          throw error
        }
      },
    })
    expect(result).to.equal('failed')
    const [found, ...others] = cases.slice(cases.findIndex((tried) => tried.result === 'failed'))
    expect(found?.detail).to.equal(
      'No answer: connection refused. The receiver no longer answers. Did a request end its process?',
    )
    expect(new Set(others.slice(0, -1).map((tried) => tried.result))).to.deep.equal(new Set(['not_tried']))
  })

  it('receiver check: does not judge further where no valid event is accepted, and says why', async () => {
    const report = await check({
      verify() {
        throw new Error('not ours')
      },
    })
    expect(report.result).to.equal('failed')
    const [valid, ...others] = report.cases
    expect(valid).to.include({ name: 'valid', result: 'failed' })
    expect(valid?.detail).to.match(/^Answer: 400\. .*secret of this endpoint, .* Is its clock right\?$/)
    expect(others.map(({ result }) => result)).to.deep.equal(others.map(() => 'not_tried'))
  })

  it('receiver check: says where answers do not show what was done, and that a crash is no refusal', async () => {
    const { cases, result } = await check({ tellsOutcome: false, refusal: 500 })
    expect(result).to.equal('incomplete')
    const shown = new Map(cases.map((one) => [one.name, one]))
    for (const name of ['duplicate', 'simultaneous_duplicates', 'in_order', 'out_of_order'] as const) {
      expect(shown.get(name)?.result).to.equal('not_shown')
      expect(shown.get(name)?.detail).to.contain('Webhook-Outcome')
    }
    expect(shown.get('forged_signature')).to.include({ result: 'passed' })
    expect(shown.get('forged_signature')?.detail).to.match(/^Answer: 500\. Answer 400 instead/)
  })

  it('receiver check: a redirect, and a receiver that is not there, are named', async () => {
    const first = async (url: string) => (await checkReceiver({ sender, url, secrets: [SECRET] })).cases[0]?.detail
    receiver = await startReceiver(SECRET, {
      verify() {
        throw new Error('moved')
      },
      refusal: 307,
    })
    expect(await first(receiver.url)).to.match(/^Answer: 307, a redirect, which is not followed\./)
    receiver.close()
    expect(await first(receiver.url)).to.match(/^No answer: connection refused\./)
  })

  it('receiver check: a receiver that drops the connection of a forgery refuses it, and is told a better way', async () => {
    const { cases, result } = await check({ refusal: undefined })
    expect(result).to.equal('passed')
    const forged = cases.find(({ name }) => name === 'forged_signature')
    expect(forged).to.include({ result: 'passed' })
    expect(forged?.detail).to.match(/^No answer: connection closed: .*\. Answer 400 instead/)
  })

  it('receiver check: a receiver that limits its requests is not called wrong', async () => {
    for (const requestsMax of [3, 12]) {
      const { cases, result } = await check({ requestsMax })
      expect(result).to.equal('incomplete')
      expect(cases.filter((tried) => tried.result === 'failed')).to.deep.equal([])
      const again = cases.find(({ name }) => name === 'valid_again')
      expect(again?.result).to.equal('not_shown')
      expect(again?.detail).to.match(/^Answer: 429\. The receiver limits its requests/)
      receiver.close()
    }
  })

  it('receiver check: an outcome that contradicts the status, or a new event, is a mistake', async () => {
    const server = await startScriptedServer()
    for (const [status, outcome, found] of [
      [204, 'duplicate', 'valid'],
      [204, 'outdated', 'valid'],
    ] as const) {
      server.script = answer(status, '', { 'webhook-outcome': outcome })
      const report = await checkReceiver({ sender, url: server.url, secrets: [SECRET] })
      expect(failedIn(report)).to.include(found)
    }
    const webhook = new Webhook(SECRET)
    server.script = (request, response) => {
      try {
        webhook.verify(request.body, request.headers as Record<string, string>)
        response.writeHead(204).end()
      } catch {
        response.writeHead(400, { 'webhook-outcome': 'handled' }).end()
      }
    }
    const report = await checkReceiver({ sender, url: server.url, secrets: [SECRET] })
    expect(failedIn(report)).to.include.members(['forged_signature', 'stale_timestamp'])
    await server.close()
  })

  it('receiver check: ends at its deadline and when it is stopped, and judges only what was answered', async () => {
    let isFirst = true
    const hanging = {
      beforeAnswer: async () => {
        if (!isFirst) await new Promise(() => {})
        isFirst = false
      },
    }
    const report = await check(hanging, { deadlineMs: 3_000 })
    const results = report.cases.map(({ result }) => result)
    expect(report.result).to.equal('incomplete')
    expect(results).to.deep.equal(['passed', ...results.slice(1, -1).map(() => 'not_tried'), 'passed'])
    receiver.close()
    const stopped = await check({}, { signal: AbortSignal.abort() })
    expect(new Set(stopped.cases.map(({ result }) => result))).to.deep.equal(new Set(['not_tried']))
    expect(receiver.events).to.deep.equal([])
  })

  it('receiver check: a ping sends one valid event', async () => {
    const report = await check({}, { kind: 'ping' })
    expect(report.cases.map(({ name, result }) => [name, result])).to.deep.equal([
      ['valid', 'passed'],
      ['answer_time', 'passed'],
    ])
    expect(receiver.events.map(({ type }) => type)).to.deep.equal(['webhook.check'])
  })
})
