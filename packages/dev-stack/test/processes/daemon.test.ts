import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { startDaemon } from '../../src/processes/daemon.ts'
import { identify, isRunning } from '../../src/processes/process-table.ts'

const DAEMON_MODULE = join(import.meta.dirname, '../../src/processes/daemon.ts')

describe('daemon', () => {
  const command = { env: { PATH: process.env.PATH }, cwd: '/', output: { onLine: () => {} } }

  it('stops a daemon by each signal in turn, then by SIGKILL', async () => {
    const lines: string[] = []
    const deaf = await startDaemon({
      ...command,
      file: 'sh',
      args: ['-c', 'trap "echo no" TERM; trap "echo never" INT; echo listening; while :; do sleep 0.01; done'],
      output: { onLine: (line) => lines.push(line) },
    })
    await eventually(() => expect(lines).to.include('listening'))
    const exit = await deaf.stop([
      { signal: 'SIGTERM', patienceMs: 300 },
      { signal: 'SIGINT', patienceMs: 300 },
    ])
    expect(exit).to.deep.equal({ code: null, signal: 'SIGKILL' })
    expect(lines).to.deep.equal(['listening', 'no', 'never'])
  })

  it('starts no daemon when its program does not exist', async () => {
    const failure = await startDaemon({ ...command, file: '/no-such-program', args: [] }).catch((error) => error.code)
    expect(failure).to.equal('ENOENT')
  })

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    it(`ends when ${signal} ends its parent process, unless outlive is set`, async () => {
      const script = `import { startDaemon } from ${JSON.stringify(DAEMON_MODULE)}
        const start = async (outlive) => {
          const command = { file: 'sleep', args: ['60'], env: process.env, cwd: '/', output: { file: '/dev/null' } }
          return (await startDaemon({ ...command, outlive })).pid
        }
        const stopped = await start(false)
        process.kill(stopped)
        console.log(JSON.stringify([await start(false), await start(true), await start(false)]))`
      const parent = spawn(process.execPath, ['--input-type=module', '-e', script])
      const [answer] = await once(parent.stdout, 'data')
      const daemons = JSON.parse(String(answer)).map(identify)
      parent.kill(signal)
      await once(parent, 'exit')
      await eventually(() => expect(daemons.map(isRunning)).to.deep.equal([false, true, false]))
      process.kill(daemons[1].pid)
    })
  }
})
