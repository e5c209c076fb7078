import { cashflowStack } from '../cashflow.ts'
import { freePorts } from '../ports.ts'
import { stackSettings } from '../settings.ts'
import { startStack } from '../stack/stack.ts'
import { onStopSignals } from '../stack/stop-signals.ts'
import { createJournal } from './journal.ts'
import type { Screen } from './screen.ts'
import { PROVIDER, tellStory } from './story.ts'

/** A slow machine needs a minute. */
const START_MAX_MS = 300_000
/** README.md says so. An idle machine needs less than half of it. */
const STORY_MAX_MS = 60_000
const STOPPED = 130

/**
 * Runs the demo on a system of its own, whose servers, processes and data are gone at its end.
 *
 * @param stateDir deleted at the end
 * @param limits.startMaxMs maximum time until the system is ready, in milliseconds
 * @returns the exit code: 0, or 130 if a signal ended it
 */
export async function runDemo(
  stateDir: string,
  screen: Screen,
  { startMaxMs = START_MAX_MS }: { startMaxMs?: number } = {},
): Promise<number> {
  const startedAt = performance.now()
  const seconds = () => ((performance.now() - startedAt) / 1_000).toFixed(0)
  const stopping = new AbortController()
  onStopSignals({
    stop(name) {
      screen.note(`${name}: stopping; a second signal kills the remaining processes`)
      stopping.abort()
    },
    kill: () => process.exit(STOPPED), // Kills the processes and deletes the data (state-folder.ts).
  })
  const { signal } = stopping
  const journal = createJournal()
  screen.line('Cashflow on a system of its own: free ports, and data that is deleted at the end.')
  try {
    await using stack = await inTime('the start', startMaxMs, signal, (limited) =>
      startDemoStack(stateDir, screen, journal.printer, limited),
    )
    screen.note(`ready after ${seconds()} s: an API, a relay, two workers, PostgreSQL and RabbitMQ`)
    const storyAt = performance.now()
    await inTime('the payments', STORY_MAX_MS, signal, (limited) =>
      tellStory({ stack, journal, screen, signal: limited }),
    )
    screen.note(`the payments took ${((performance.now() - storyAt) / 1_000).toFixed(0)} s`)
    screen.note('stopping everything, and deleting the data')
  } catch (error) {
    if (signal.aborted) {
      screen.note('stopped before its end; every process is stopped, and the data is deleted')
      return STOPPED
    }
    for (const line of journal.lines) screen.note(line)
    throw error
  }
  screen.note(`every process is stopped, and the data is deleted, ${seconds()} s after the start`)
  screen.line('\nNext: npm start runs the system and keeps its data. README.md shows the first payment.')
  return 0
}

/** Aborts the signal of work that takes too long. The work ends by itself then. */
async function inTime<Result>(
  what: string,
  maxMs: number,
  signal: AbortSignal,
  work: (limited: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController()
  const late = new Error(`${what} took longer than ${maxMs} ms`)
  const timer = setTimeout(() => limit.abort(late), maxMs)
  try {
    return await work(AbortSignal.any([signal, limit.signal]))
  } catch (error) {
    throw limit.signal.aborted ? late : error
  } finally {
    clearTimeout(timer)
  }
}

async function startDemoStack(
  stateDir: string,
  screen: Screen,
  printer: ReturnType<typeof createJournal>['printer'],
  signal: AbortSignal,
) {
  const [postgres, rabbitmq, management] = await freePorts(4)
  // Not the settings of the environment or of .env: no payment of the demo may reach another database, broker or provider.
  const settings = stackSettings({ PORT: '0', SANDBOX: 'yes' })
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, SANDBOX: 'yes', AUTH: 'none', ...PROVIDER }
  const stack = await startStack({
    ...cashflowStack({ apis: 1, relays: 1, workers: 2, webhooks: 0, fresh: true, help: false }, settings, env),
    stateDir,
    cwd: stateDir,
    temporary: true,
    serverPorts: { postgres, rabbitmq, management },
    printer,
    say: screen.note,
    signal,
  })
  return { ...stack, [Symbol.asyncDispose]: stack.stop }
}
