import { eventually, type Loops, pause } from '@cashflow/async'
import { Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { backgroundComponent, type LogFields, withAdmin } from '../../src/index.ts'

describe('process with a hung loop', () => {
  const stopping = new AbortController()
  const never = new Promise<void>(() => {})

  // Promise 101
  it('/livez fails with the name of a loop that hangs for two minutes, and of no other', async () => {
    const turning = backgroundComponent(
      'turning',
      async (loops: Loops) => {
        const [loop, waiting] = [loops.begin('turning'), loops.begin('waiting')]
        void waiting.outwait(never)
        while (!stopping.signal.aborted) {
          loop.beat()
          await pause(100, stopping.signal)
        }
      },
      stopping,
    )
    const hanging = backgroundComponent(
      'hanging',
      async (loops: Loops) => {
        loops.begin('hanging').beat()
        await never
      },
      stopping,
      { isAwaited: false },
    )
    const logged: LogFields[] = []
    const log = (_message: string, fields: LogFields = {}) => void logged.push(fields)
    const logger = { debug: log, info: log, warn: log, error: log }
    const options = { host: '127.0.0.1', port: 0, service: 'test', registry: new Registry(), logger }
    const components = withAdmin([turning, hanging], options)
    for (const component of components) await component.start(stopping.signal)
    try {
      const livez = () => fetch(`${logged[0]?.url}/livez`)
      await pause(60_000)
      expect((await livez()).status).to.equal(200)
      await eventually(async () => expect((await livez()).status).to.equal(503), { timeoutMs: 90_000, intervalMs: 500 })
      const body = (await (await livez()).json()) as { status: string; loops: { name: string; silent_s: number }[] }
      expect(body.status).to.equal('hung')
      expect(body.loops.map(({ name }) => name)).to.deep.equal(['hanging'])
      expect(body.loops[0]?.silent_s).to.be.within(119, 125)
    } finally {
      for (const component of components.toReversed()) await component.stop()
    }
  }).timeout(200_000)
})
