import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'

/** Runs parts as a process would: `parts` is the code of an array of them. */
async function run(parts: string, onLine: (message: string, child: ChildProcess) => void, deadlineMs = 5_000) {
  const program = `
    import { createLogger, runUntilSignal } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))}
    const logger = createLogger({ service: 'test', level: 'info' })
    const part = (name, more = {}) => ({
      name,
      async start() { logger.info('start ' + name) },
      async stop() { logger.info('stop ' + name) },
      ...more,
    })
    setInterval(() => {}, 1_000)
    await runUntilSignal(${parts}, { logger, deadlineMs: ${deadlineMs} })`
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

describe('a process', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`starts its parts in order, and on ${signal} stops them in reverse and exits with 0`, async () => {
      const { code, messages } = await run(`[part('a'), part('b')]`, (message, child) => {
        if (message === 'ready') child.kill(signal)
      })
      expect(messages).to.deep.equal(['start a', 'start b', 'ready', 'stopping', 'stop b', 'stop a', 'stopped'])
      expect(code).to.equal(0)
    })
  }

  it('stops what it had started when a part cannot start, and exits with 1', async () => {
    const failing = `part('b', { async start() { throw new Error('no') } })`
    const { code, messages } = await run(`[part('a'), ${failing}, part('c')]`, () => {})
    expect(messages).to.deep.equal(['start a', 'could not start', 'stop b', 'stop a', 'stopped'])
    expect(code).to.equal(1)
  })

  it('gives up starting when it is told to stop, and that is no failure', async () => {
    const waiting = `part('b', { start(signal) { logger.info('waiting'); return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) } })`
    const { code, messages } = await run(`[part('a'), ${waiting}]`, (message, child) => {
      if (message === 'waiting') child.kill('SIGTERM')
    })
    expect(messages).to.deep.equal(['start a', 'waiting', 'stopping', 'stop b', 'stop a', 'stopped'])
    expect(code).to.equal(0)
  })

  it('exits with 1 when stopping takes longer than its deadline', async () => {
    const hanging = `part('a', { stop: () => new Promise(() => {}) })`
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

  it('stops the other parts when one of them fails to, and exits with 1', async () => {
    const failing = `part('b', { async stop() { throw new Error('no') } })`
    const { code, messages } = await run(`[part('a'), ${failing}]`, (message, child) => {
      if (message === 'ready') child.kill('SIGTERM')
    })
    expect(messages.slice(-3)).to.deep.equal(['could not stop cleanly', 'stop a', 'stopped'])
    expect(code).to.equal(1)
  })

  it('logs an error that reached nobody, and exits with 1', async () => {
    const { code, messages } = await run(
      `[part('a', { async start() { setTimeout(() => { throw new Error('lost') }) } })]`,
      () => {},
    )
    expect(messages).to.include('uncaught error')
    expect(code).to.equal(1)
  })
})
