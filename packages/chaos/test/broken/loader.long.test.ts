import { type ServiceProcess, startService } from '@cashflow/testing'
import { expect } from 'chai'
import { type BrokenBuild, nodeArgumentsOf } from './broken-builds.ts'

const SAME = 'data:text/javascript,export const same = (value) => value'
const BUILD: BrokenBuild = {
  name: 'a test',
  service: 'worker',
  file: 'services/worker/src/config.ts',
  exported: 'workerConfig',
  replacement: 'same',
  module: SAME,
}

describe('loader of broken builds', () => {
  let service: ServiceProcess
  afterEach(() => service.kill('SIGKILL'))

  /** The service ends by itself in any case, because its settings are wrong too. */
  async function outputOf(change: Partial<BrokenBuild>): Promise<string> {
    const build = { ...BUILD, ...change }
    service = startService('worker', { WORKER_PREFETCH: 'none' }, nodeArgumentsOf(build))
    expect(await service.exited).to.equal(1)
    return service.output.join('\n')
  }

  it('replaces one export of one module, and no other', async () => {
    const throwing = "export const throwing = (value) => { throw new Error('replaced ' + typeof value) }"
    const module = `data:text/javascript,${encodeURIComponent(throwing)}`
    expect(await outputOf({ module, replacement: 'throwing' })).to.include('Error: replaced function')
    expect(await outputOf({})).to.include('WORKER_PREFETCH')
  })

  for (const [what, change, message] of [
    ['the module has no such export', { exported: 'noSuchExport' }, `${BUILD.file} has no export noSuchExport`],
    ['there is no such replacement', { replacement: 'noSuch' }, 'there is no replacement noSuch'],
    [
      'the service does not load the module',
      { file: 'services/relay/src/relay.ts' },
      'worker does not load services/relay/src/relay.ts',
    ],
  ] as const) {
    it(`ends the service before its main.ts begins when ${what}`, async () => {
      const output = await outputOf(change)
      expect(output).to.include(`Broken build "a test": ${message}`)
      expect(output).not.to.include('WORKER_PREFETCH')
    })
  }
})
