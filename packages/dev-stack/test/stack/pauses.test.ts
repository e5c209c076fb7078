import { expect } from 'chai'
import { createLogPrinter } from '../../src/log-printer.ts'
import { createPauses } from '../../src/stack/pauses.ts'

const BEGIN = { message: 'paused by an operator', by: 'ann@ops', reason: 'the provider moves', until: 'resumed' }
const END = { message: 'resumed' }
const READY = { message: 'ready' }

describe('pauses in the services of a stack', () => {
  function follow() {
    const shown: string[] = []
    const printer = createLogPrinter({ write: (line) => shown.push(line), level: 'info', labelWidth: 8 })
    printer.release()
    const messages = () => shown.map((line) => / {2}the (.*?)(?:,|$)/.exec(line)?.[1])
    return { ...createPauses(printer), messages }
  }

  it('npm start: shows one line for a pause that several processes log, and one for its end', () => {
    const { onLine, inForce, messages } = follow()
    for (const label of ['worker 1', 'worker 2']) onLine('worker', label, BEGIN)
    expect(messages()).to.deep.equal(['workers are paused'])
    expect(inForce.get('worker')).to.include({ by: 'ann@ops', reason: 'the provider moves' })
    for (const label of ['worker 1', 'worker 2']) onLine('worker', label, END)
    expect(messages()).to.deep.equal(['workers are paused', 'workers are not paused any more'])
    expect(inForce.size).to.equal(0)
  })

  it('npm start: shows a pause again when its reason changes, and keeps those of other components', () => {
    const { onLine, inForce, messages } = follow()
    onLine('worker', 'worker', BEGIN)
    onLine('relay', 'relay', { ...BEGIN, reason: 'the broker moves' })
    onLine('worker', 'worker', { ...BEGIN, reason: 'it takes longer' })
    onLine('relay', 'relay', END)
    expect(messages()).to.deep.equal([
      ...['workers are paused', 'relays are paused', 'workers are paused', 'relays are not paused any more'],
    ])
    expect([...inForce.keys()]).to.deep.equal(['worker'])
  })

  it('npm start: shows the end of a pause that ended while its process was restarted, and not that it goes on', () => {
    const { onLine, onStart, messages } = follow()
    onLine('worker', 'worker', BEGIN)
    onStart('worker')
    onLine('worker', 'worker', BEGIN)
    onLine('worker', 'worker', READY)
    expect(messages()).to.deep.equal(['workers are paused'])
    onStart('worker')
    onLine('worker', 'worker', READY)
    expect(messages()).to.deep.equal(['workers are paused', 'workers are not paused any more'])
  })
})
