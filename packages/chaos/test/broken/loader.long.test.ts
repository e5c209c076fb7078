import { type ServiceProcess, startService } from '@cashflow/testing'
import { expect } from 'chai'
import { nodeArgumentsOf, type Patch } from '../../src/broken/broken-build.ts'

const FILE = 'services/worker/src/handle-delivery.ts'

describe('a broken build', () => {
  let service: ServiceProcess
  afterEach(() => service.kill('SIGKILL'))

  /** Ends by itself, whichever way: its settings are not usable either. */
  async function outputOf(patch: Patch): Promise<string> {
    const build = { name: 'a test', service: 'worker', patches: [patch] } as const
    service = startService('worker', { WORKER_PREFETCH: 'none' }, nodeArgumentsOf(build))
    expect(await service.exited).to.equal(1)
    return service.output.join('\n')
  }

  it('does what the patch says', async () => {
    const to = 'const config = JSON.parse("patched $& in") //'
    const output = await outputOf({ file: 'services/worker/src/main.ts', from: 'const config =', to })
    expect(output).to.include('"patched $& in" is not valid JSON')
  })

  it('does not start when there is nothing to patch any more', async () => {
    const output = await outputOf({ file: FILE, from: 'no such text', to: '' })
    expect(output).to.include(`Broken build "a test": ${FILE} has 0 times, not once: no such text`)
  })

  it('does not start when a patch fits in several places', async () => {
    const output = await outputOf({ file: FILE, from: 'import', to: '' })
    expect(output).to.match(/handle-delivery\.ts has \d+ times, not once: import/)
  })

  it('does not start when its service does not load the file any more', async () => {
    const output = await outputOf({ file: 'services/relay/src/relay.ts', from: 'relay', to: '' })
    expect(output).to.include('Broken build "a test": worker does not load services/relay/src/relay.ts')
    expect(output).not.to.include('WORKER_PREFETCH')
  })
})
