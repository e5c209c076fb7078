import { EventEmitter } from 'node:events'
import { expect } from 'chai'
import { onStopSignals } from '../../src/stack/stop-signals.ts'

describe('stop signals', () => {
  function listen() {
    const clock = { ms: 1_000_000 }
    const source = new EventEmitter()
    const calls: string[] = []
    onStopSignals({ stop: (signal) => calls.push(signal), kill: () => calls.push('kill') }, source, () => clock.ms)
    return { clock, source, calls }
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    it(`stop at the first ${signal}`, () => {
      const { source, calls } = listen()
      source.emit(signal)
      expect(calls).to.deep.equal([signal])
    })
  }

  it('count once within a second: npm forwards the key press that the terminal sends too', () => {
    const { clock, source, calls } = listen()
    source.emit('SIGINT')
    clock.ms += 900
    source.emit('SIGINT')
    expect(calls).to.deep.equal(['SIGINT'])
  })

  it('kill when somebody asks again later', () => {
    const { clock, source, calls } = listen()
    source.emit('SIGINT')
    clock.ms += 1_500
    source.emit('SIGINT')
    expect(calls).to.deep.equal(['SIGINT', 'kill'])
  })
})
