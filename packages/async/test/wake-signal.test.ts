import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { createWakeSignal } from '../src/wake-signal.ts'

const signal = new AbortController().signal

const LONG_MS = 3_600_000

describe('wake signal', () => {
  it('ends the oldest wait', async () => {
    const wake = createWakeSignal()
    const ended: number[] = []
    const waits = [1, 2, 3].map((number) =>
      wake.wait({ atMostMs: LONG_MS, signal }).then(() => {
        ended.push(number)
      }),
    )
    for (const number of [1, 2, 3]) {
      wake.wake()
      await waits[number - 1]
      await setImmediate()
      expect(ended).to.deep.equal(Array.from({ length: number }, (_, index) => index + 1))
    }
  })

  it('ends the next wait, and only that one, when it is given while no loop waits', async () => {
    const wake = createWakeSignal()
    wake.wake()
    wake.wake()
    await wake.wait({ atMostMs: LONG_MS, signal })
    const stopping = new AbortController()
    const second = wake.wait({ atMostMs: LONG_MS, signal: stopping.signal }).then(() => 'woken')
    expect(await Promise.race([second, setImmediate('waiting')])).to.equal('waiting')
    stopping.abort()
    await second
  })

  it('wake signal is not used up by a wait that has ended', async () => {
    const wake = createWakeSignal()
    await wake.wait({ atMostMs: 1, signal })
    await wake.wait({ atMostMs: LONG_MS, signal: AbortSignal.timeout(1) })
    const waiting = wake.wait({ atMostMs: LONG_MS, signal })
    wake.wake()
    await waiting
  })

  it('ends a wait when the signal aborts', async () => {
    const wake = createWakeSignal()
    const stopping = new AbortController()
    const waiting = wake.wait({ atMostMs: LONG_MS, signal: stopping.signal })
    stopping.abort()
    await waiting
  })
})
