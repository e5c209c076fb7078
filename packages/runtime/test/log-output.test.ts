import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { createLogOutput } from '../src/log-output.ts'

const RUNTIME = join(import.meta.dirname, '../src/index.ts')
/** Logs the lines that a message asks for, and answers with its heap's size in bytes. */
const PROGRAM = `
  import { createLogger, loadConfig } from ${JSON.stringify(RUNTIME)}
  loadConfig(() => ({}))
  const logger = createLogger({ service: 'test', level: 'error' })
  process.on('message', async ({ lines, text }) => {
    for (let line = 0; line < lines; line++) {
      logger.error(text, { line })
      if (line % 100 === 99) await new Promise((resolve) => setImmediate(resolve))
    }
    gc()
    process.send(process.memoryUsage().heapUsed)
  })
  process.send('started')`

describe('log that cannot be written', () => {
  const children: ChildProcess[] = []
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow-log-'))
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await rm(dir, { recursive: true })
  })

  /** Starts the program in a shell. `redirection` is the command, in which NODE stands for the program. */
  async function start(redirection: string, stdio: SpawnOptions['stdio'] = ['ignore', 'pipe', 'pipe', 'ipc']) {
    const command = `${redirection.includes(';') ? '' : 'exec '}${redirection.replace('NODE', '"$0" --expose-gc --input-type=module --eval "$1"')}`
    const child = spawn('bash', ['-c', command, process.execPath, PROGRAM], {
      cwd: dir,
      stdio,
      env: { APP_ENV: 'test' },
    })
    children.push(child)
    let stderr = ''
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      stderr += text
    })
    const ended = new AbortController()
    child.once('exit', (code) => ended.abort(new Error(`the process ended with ${code}: ${stderr}`)))
    const answer = async () => (await once(child, 'message', { signal: ended.signal }))[0]
    await answer()
    return {
      child,
      stderr: () => stderr,
      /** @returns the size of its heap after it has logged the lines */
      log(lines: number, text = 'a line'): Promise<number> {
        child.send({ lines, text })
        return answer()
      },
      async stop() {
        // Not the `close` of the child, which Node does not emit after `disconnect`.
        const closed = [child.stdout, child.stderr].map((stream) => stream?.closed || once(stream as Readable, 'close'))
        const exited = once(child, 'exit')
        child.stdout?.resume()
        child.disconnect()
        await Promise.all(closed)
        return (await exited)[0]
      },
    }
  }

  it('stops no process when the disk is full, and is reported on standard error once', async () => {
    const program = await start('NODE > /dev/full')
    for (let turn = 0; turn < 3; turn++) await program.log(2)
    expect(await program.stop()).to.equal(0)
    expect(program.stderr()).to.match(/^test: the log cannot be written: ENOSPC: [^\n]*; going on\n$/)
  })

  it('stops no process when its reader has ended, and is reported on standard error once', async () => {
    const program = await start('NODE')
    program.child.stdout?.destroy()
    for (let turn = 0; turn < 3; turn++) await program.log(2)
    expect(await program.stop()).to.equal(0)
    expect(program.stderr()).to.match(/^test: the log cannot be written: [^\n]*EPIPE[^\n]*; going on\n$/)
  })

  it('stops no process when standard error cannot be written either', async () => {
    const program = await start('NODE > /dev/full 2>&1')
    for (let turn = 0; turn < 3; turn++) await program.log(2)
    expect(await program.stop()).to.equal(0)
  })

  it('log output has one listener for its errors with any number of loggers, so that Node warns of no leak', () => {
    const stream = new PassThrough()
    for (let logger = 0; logger < 20; logger++) createLogOutput(stream, { onBroken() {}, onRecovered() {} })
    expect(stream.listenerCount('error')).to.equal(1)
  })

  it('writes the log again when there is room, with the number of lost lines', async () => {
    // A file that cannot grow beyond 8 kB acts as a full disk.
    const program = await start('ulimit -f 8; NODE >> log')
    const file = join(dir, 'log')
    await program.log(200)
    expect((await readFile(file)).length).to.equal(8_192)
    expect(program.stderr()).to.match(/^test: the log cannot be written: EFBIG: [^\n]*; going on\n$/)
    await truncate(file)
    let logged = 200
    await eventually(async () => {
      logged += 1
      await program.log(1)
      expect(await readFile(file, 'utf8')).to.contain('log lines were lost')
    })
    expect(await program.stop()).to.equal(0)
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
    expect(lines.map((line) => JSON.parse(line).message).slice(0, 2)).to.deep.equal(['a line', 'log lines were lost'])
    const { lines_since_start: lost, reason } = JSON.parse(lines[1] ?? '')
    // The first 8 kB were written, and the lines after the file had room again.
    expect(lost).to.be.within(logged - 120, logged - 1)
    expect(reason).to.match(/^EFBIG/)
  })

  // Promise 59
  it('uses bounded memory when its reader does not keep up, and shows the number of lost lines', async () => {
    const program = await start('NODE')
    program.child.stdout?.pause()
    const text = 'x'.repeat(1_000)
    const before = await program.log(1)
    const after = await program.log(15_000, text)
    expect(after - before).to.be.below(12 * 1_024 * 1_024)
    expect(program.stderr()).to.equal('test: the log cannot be written: its reader does not keep up; going on\n')
    const read: { message: string; lines_since_start: number }[] = []
    let rest = ''
    program.child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      read.push(...lines.map((line) => JSON.parse(line)))
    })
    program.child.stdout?.resume()
    let logged = 15_001
    await eventually(async () => {
      logged += 1
      await program.log(1)
      expect(read.map(({ message }) => message)).to.include('log lines were lost')
    })
    expect(await program.stop()).to.equal(0)
    const [notice] = read.filter(({ message }) => message === 'log lines were lost')
    expect(read.length - 1 + (notice?.lines_since_start ?? 0)).to.equal(logged)
  })
})
