import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { type LogLine, type ServiceCommand, startServiceProcess } from '../../src/processes/service-process.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const LINES = `console.log('{"message":"first","number":1}')
  console.log('no log line')
  console.log('{"message":"first","number":2}')
  setTimeout(() => console.log('{"message":"ready"}'), 50)`

describe('service process', () => {
  const folder = temporaryFolder()
  after(folder.remove)

  function start(script: string, output: ServiceCommand['output']) {
    const args = ['-e', `${script}; setInterval(() => {}, 1000)`]
    return startServiceProcess({
      name: 'worker 2',
      file: process.execPath,
      args,
      env: { PATH: process.env.PATH },
      cwd: '/',
      output,
    })
  }

  it('resolves with the first line of a message, logged before or after the call, and passes each line on', async () => {
    const lines: [string, LogLine | undefined][] = []
    const service = start(LINES, { onLine: (...line) => lines.push(line) })
    await service.logged('ready')
    expect(await service.logged('first')).to.deep.equal({ message: 'first', number: 1 })
    expect(service.find('stopped')).to.equal(undefined)
    expect(lines.slice(1, 3)).to.deep.equal([
      ['no log line', undefined],
      ['{"message":"first","number":2}', { message: 'first', number: 2 }],
    ])
    expect(await service.stop(5_000)).to.deep.equal({ code: null, signal: 'SIGTERM' })
  })

  it('finds its lines in a file, and none of an earlier process', async () => {
    const file = join(folder.path, 'logs/service.log')
    const earlier = start(LINES, { file })
    await earlier.logged('ready')
    await earlier.stop(0)
    const service = start(`console.log('{"message":"first","number":3}')`, { file })
    expect(await service.logged('first')).to.include({ number: 3 })
    expect(service.find('ready')).to.equal(undefined)
    await service.stop(0)
    expect(readFileSync(file, 'utf8')).to.include('"number":1').and.include('"number":3')
  })

  const failureOf = (logged: Promise<unknown>) =>
    logged.then(
      () => 'logged',
      (error: Error) => error.message,
    )

  it('rejects with the end of its output when it ends before it has logged the message', async () => {
    const service = start(`console.log('cannot start'); process.exit(3)`, { onLine() {} })
    expect(await failureOf(service.logged('ready'))).to.equal(
      'worker 2 ended (code 3) before it logged "ready". The end of its output:\ncannot start',
    )
  })

  it('rejects when it has not logged the message in time, and when the signal aborts', async () => {
    const service = start('', { onLine() {} })
    expect(await failureOf(service.logged('ready', { timeoutMs: 50 }))).to.match(/^worker 2 has not logged "ready"/)
    const enough = AbortSignal.abort(new Error('enough'))
    expect(await failureOf(service.logged('ready', { signal: enough }))).to.equal('enough')
    await service.stop(0)
  })

  it('rejects with the reason when its program does not exist', async () => {
    const command = { name: 'worker 2', args: [], env: {}, cwd: '/', output: { onLine() {} } }
    const service = startServiceProcess({ ...command, file: '/no-such-program' })
    expect(await failureOf(service.logged('ready'))).to.include('ENOENT')
  })
})
