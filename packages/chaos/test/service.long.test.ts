import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { createService, type Service } from '../src/service.ts'

describe('service of chaos', () => {
  let dir: string
  const started: Service[] = []
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  })
  afterEach(() => Promise.all(started.splice(0).map((service) => service.kill())))
  after(() => rm(dir, { recursive: true, force: true }))

  /** Starts a process that does this at SIGTERM, in the place of a worker. */
  async function start(atSigterm: string): Promise<Service> {
    const text = `process.on('SIGTERM', () => ${atSigterm}); setInterval(() => {}, 1000); console.log('ready')`
    const nodeArguments = ['--eval', text, '--']
    const service = createService({
      role: 'worker',
      name: 'worker-1',
      env: {},
      nodeArguments,
      logFile: join(dir, 'log'),
    })
    started.push(service)
    await service.start()
    await eventually(() => expect(service.errors.get('ready')).to.equal(1))
    return service
  }

  it('returns how it ended after SIGTERM', async () => {
    const good = await start('process.exit(0)')
    expect(await good.stop()).to.deep.equal({ code: 0, signal: null })
    expect(await good.stop()).to.equal(undefined)
    const late = await start('process.exit(1)')
    expect(await late.stop()).to.deep.equal({ code: 1, signal: null })
    expect([...good.exits, ...late.exits]).to.deep.equal([])
  })

  it('reports an end by a signal, or with an unexpected code, after SIGTERM', async () => {
    const killed = await start("process.kill(process.pid, 'SIGKILL')")
    await killed.stop()
    expect(killed.exits).to.deep.equal(['worker-1 ended by SIGKILL after SIGTERM'])
    const crashed = await start('process.exit(7)')
    await crashed.stop()
    expect(crashed.exits).to.deep.equal(['worker-1 ended by code 7 after SIGTERM'])
  })

  it('reports no unexpected end when it is stopped before it can handle SIGTERM', async () => {
    const nodeArguments = ['--eval', 'setInterval(() => {}, 1000)', '--']
    const service = createService({
      role: 'worker',
      name: 'worker-1',
      env: {},
      nodeArguments,
      logFile: join(dir, 'log'),
    })
    started.push(service)
    await service.start()
    expect(await service.stop()).to.deep.equal({ code: null, signal: 'SIGTERM' })
    expect(service.exits).to.deep.equal([])
  })

  it('accepts a freeze and a thaw of a service that has ended', async () => {
    const service = await start('process.exit(0)')
    await service.freeze()
    await service.stop()
    await service.freeze()
    await service.thaw()
    expect(service.exits).to.deep.equal([])
  })
})
