import { join } from 'node:path'
import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { freePorts } from '../../src/ports.ts'
import { openRegister, stopLeftovers } from '../../src/processes/register.ts'
import type { SandboxState } from '../../src/sandbox/sandbox.ts'
import { removePostgresData } from '../../src/servers/postgres.ts'
import { askSandbox } from './ask-sandbox.ts'
import { runCashflow } from './stack-run.ts'
import { temporaryFolder } from './temporary-folder.ts'

export type SandboxRun = Awaited<ReturnType<typeof startSandboxRun>>

/** Runs what `npm start` runs, with a state folder of its own, for tests of its sandbox. */
export async function startSandboxRun(env: Record<string, string> = {}) {
  const folder = temporaryFolder()
  const [postgres, rabbitmq, management] = await freePorts(4)
  const settings = { PORT: '0', PROVIDER_DELAY_MS: '50', ...env }
  const run = runCashflow(folder.path, { postgres, rabbitmq, management }, settings)
  const file = await run.ready()
  const socket = join(folder.path, 'sandbox.sock')
  const ask = (call?: string, body?: unknown) => askSandbox(socket, call, body)
  const state = async () => (await ask()).body

  async function begin(plan: object): Promise<void> {
    const started = await ask('POST /payments', { amount_min: '1', amount_max: '250.50', currency: 'USD', ...plan })
    expect(started.status, started.body.error).to.equal(200)
    expect(started.body.run?.sent).to.be.a('number')
  }

  /** Waits for the end of the run, and then until all its payments are settled. */
  async function settled(timeoutMs = 60_000): Promise<SandboxState> {
    await eventually(async () => expect((await state()).run).to.equal(null))
    const ended = Date.now()
    return eventually(
      async () => {
        const now = await state()
        expect(Date.parse(now.counter.as_of)).to.be.above(ended)
        expect(now.counter.accepted).to.be.above(0)
        expect(now.counter.settled, JSON.stringify(now.counter)).to.equal(now.counter.accepted)
        return now
      },
      { timeoutMs, intervalMs: 200 },
    )
  }

  return {
    ...{ run, file, folder: folder.path, ask, state, begin, settled },
    async breakPart(kind: string, seconds?: number): Promise<SandboxState> {
      const { status, body } = await ask('POST /faults', { kind, ...(seconds && { seconds }) })
      expect(status, body.error).to.equal(200)
      return body
    },
    /** Waits until no fault is in progress. */
    undone: () => eventually(async () => expect((await state()).faults).to.deep.equal([]), { timeoutMs: 120_000 }),
    /** Stops the stack. Also what one that was killed has left behind. */
    async stop(): Promise<void> {
      run.kill('SIGTERM')
      await run.exited
      await stopLeftovers(openRegister(join(folder.path, 'processes.json')).running(), () => {})
      removePostgresData(folder.path)
      folder.remove()
    },
  }
}
