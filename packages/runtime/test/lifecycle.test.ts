import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { failureFields } from '../src/lifecycle.ts'

/** Runs components in a process. `components` is the code of an array of them. */
async function run(components: string, onLine: (message: string, child: ChildProcess) => void, deadlineMs = 5_000) {
  const program = `
    import { createLogger, runUntilSignal } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))}
    const logger = createLogger({ service: 'test', level: 'info' })
    const component = (name, more = {}) => ({
      name,
      async start() { logger.info('start ' + name) },
      async stop() { logger.info('stop ' + name) },
      ...more,
    })
    setInterval(() => {}, 1_000)
    await runUntilSignal(${components}, { logger, deadlineMs: ${deadlineMs} })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const messages: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { message } = JSON.parse(line)
    messages.push(message)
    onLine(message, child)
  })
  const [code] = await once(child, 'close')
  return { code, messages }
}

describe('runUntilSignal', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`starts its components in order, stops them in reverse on ${signal}, and exits with 0`, async () => {
      const { code, messages } = await run(`[component('a'), component('b')]`, (message, child) => {
        if (message === 'ready') child.kill(signal)
      })
      expect(messages).to.deep.equal(['start a', 'start b', 'ready', 'stopping', 'stop b', 'stop a', 'stopped'])
      expect(code).to.equal(0)
    })
  }

  it('stops the started components when one cannot start, and exits with 1', async () => {
    const failing = `component('b', { async start() { throw new Error('no') } })`
    const { code, messages } = await run(`[component('a'), ${failing}, component('c')]`, () => {})
    expect(messages).to.deep.equal(['start a', 'could not start', 'stop b', 'stop a', 'stopped'])
    expect(code).to.equal(1)
  })

  it('exits with 0 when a signal stops it while it starts', async () => {
    const waiting = `component('b', { start(signal) { logger.info('waiting'); return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) } })`
    const { code, messages } = await run(`[component('a'), ${waiting}]`, (message, child) => {
      if (message === 'waiting') child.kill('SIGTERM')
    })
    expect(messages).to.deep.equal(['start a', 'waiting', 'stopping', 'stop b', 'stop a', 'stopped'])
    expect(code).to.equal(0)
  })

  it('exits with 1 when stopping takes longer than its deadline', async () => {
    const hanging = `component('a', { stop: () => new Promise(() => {}) })`
    const { code, messages } = await run(
      `[${hanging}]`,
      (message, child) => {
        if (message === 'ready') child.kill('SIGTERM')
      },
      50,
    )
    expect(messages.at(-1)).to.equal('stopping took too long')
    expect(code).to.equal(1)
  })

  it('stops the other components when one cannot stop, and exits with 1', async () => {
    const failing = `component('b', { async stop() { throw new Error('no') } })`
    const { code, messages } = await run(`[component('a'), ${failing}]`, (message, child) => {
      if (message === 'ready') child.kill('SIGTERM')
    })
    expect(messages.slice(-3)).to.deep.equal(['could not stop cleanly', 'stop a', 'stopped'])
    expect(code).to.equal(1)
  })

  it('logs an uncaught error, and exits with 1', async () => {
    const { code, messages } = await run(
      `[component('a', { async start() { setTimeout(() => { throw new Error('lost') }) } })]`,
      () => {},
    )
    expect(messages).to.include('uncaught error')
    expect(code).to.equal(1)
  })
})

describe('failureFields', () => {
  it('show the reason and code of an error of the surroundings, without a stack or passwords', () => {
    const error = Object.assign(new Error('no server at postgres://u:hunter2@h/d'), { code: 'ECONNREFUSED' })
    expect(failureFields(error)).to.deep.equal({ reason: 'no server at postgres://u:***@h/d', code: 'ECONNREFUSED' })
  })

  it('show the whole error if it is a bug', () => {
    const error = new TypeError('undefined is not a function')
    expect(failureFields(error)).to.deep.equal({ error })
  })
})
