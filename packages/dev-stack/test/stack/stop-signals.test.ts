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
    it(`stop the stack at the first ${signal}`, () => {
      const { source, calls } = listen()
      source.emit(signal)
      expect(calls).to.deep.equal([signal])
    })
  }

  it('count as one within a second, since npm forwards the Ctrl-C that the terminal sends too', () => {
    const { clock, source, calls } = listen()
    source.emit('SIGINT')
    clock.ms += 900
    source.emit('SIGINT')
    expect(calls).to.deep.equal(['SIGINT'])
  })

  it('kill the remaining processes at a second signal, over a second later', () => {
    const { clock, source, calls } = listen()
    source.emit('SIGINT')
    clock.ms += 1_500
    source.emit('SIGINT')
    expect(calls).to.deep.equal(['SIGINT', 'kill'])
  })
})
