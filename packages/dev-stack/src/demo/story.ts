import { defined, pause } from '@cashflow/async'
import { sendSignal } from '../processes/process-table.ts'
import { query } from '../servers/postgres-client.ts'
import type { StackFile } from '../stack/state-folder.ts'
import type { Journal } from './journal.ts'
import { type Batch, createBatch, readBatch } from './payments.ts'
import type { Screen } from './screen.ts'
import { watchBatch } from './watch.ts'

const DELAY_S = 1
const DEADLINE_S = 2
/** A worker's lease is 10 s longer than the provider's deadline. */
const LEASE_S = DEADLINE_S + 10
const AT_ONCE = 4

/** Settings of the simulated provider. It approves everything. */
export const PROVIDER = {
  PROVIDER: 'simulated',
  PROVIDER_SUCCESS_RATE: '1',
  PROVIDER_DELAY_MS: String(DELAY_S * 1_000),
  PROVIDER_DEADLINE_MS: String(DEADLINE_S * 1_000),
  PROVIDER_CONCURRENCY: String(AT_ONCE),
  WORKER_PREFETCH: String(AT_ONCE),
}

const FIRST = 20
/** More than both workers charge at the same time. */
const SECOND = 10
const ROUNDS_MAX = 3
const LOOK_AGAIN_MS = 50

export interface Story {
  readonly stack: { file(): StackFile }
  readonly journal: Journal
  readonly screen: Screen
  /** Ends the story, which then throws. */
  readonly signal: AbortSignal
}

/** Tells what happens to payments, with measured times. @throws Error if a payment is not SUCCESS at the end */
export async function tellStory(story: Story): Promise<void> {
  await tellOfTwenty(story)
  const killed = await tellOfDeath(story)
  await tellSum(story, FIRST + killed * SECOND)
}

async function tellOfTwenty(story: Story): Promise<void> {
  const { screen } = story
  screen.title('1. Twenty payments')
  const batch = await createBatch(apiOf(story), { prefix: 'DEMO-1', count: FIRST }, story.signal)
  screen.paragraph(`20 POSTs were answered with 201, the slowest after ${Math.ceil(batch.slowestMs)} ms. By then PostgreSQL has
    each payment together with the message that brings it to a worker. The simulated provider takes ${DELAY_S} s, and each
    of the two workers sends it up to ${AT_ONCE} payments at a time.`)
  const lastMs = await watchBatch(story, apiOf(story), batch)
  screen.paragraph(`All 20 are SUCCESS, ${seconds(lastMs)} after the first POST.`)
}

/** Kills a worker that has payments at the provider. @returns the number of batches that it took */
async function tellOfDeath(story: Story): Promise<number> {
  const { screen, journal, signal } = story
  screen.title('2. A worker dies')
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    const batch = await createBatch(apiOf(story), { prefix: `DEMO-${round + 1}`, count: SECOND }, signal)
    if (!(await untilBothAreBusy(story, batch))) continue
    const pid = defined(story.stack.file().processes.worker[0], 'pid of a worker')
    sendSignal(pid, 'SIGKILL')
    const killedAt = Date.now()
    screen.paragraph(`10 more payments were answered with 201, and both workers are busy. Now: kill -9 ${pid}, the first
      worker. RabbitMQ delivers its payments to others immediately. But PostgreSQL has a lease on each, of ${LEASE_S} s from
      its claim. The dead worker may have charged them, so the others wait for the lease's end.`)
    await watchBatch(story, apiOf(story), batch, ({ id }) => journal.leased.has(id))
    const taken = await takenOver(story, batch, killedAt)
    const [first, last] = [taken[0], taken.at(-1)]
    if (first && last) {
      const by = [...new Set(taken.map(({ id }) => journal.settledBy.get(id)))].join(' and ')
      screen.paragraph(`${taken.length} payments of the dead worker were taken over by ${by}. They were SUCCESS
        ${seconds(first.afterMs)} to ${seconds(last.afterMs)} after its death. As npm start does, the demo has restarted the
        worker, as worker 1.`)
      return round
    }
    screen.paragraph('The worker had just settled all of its payments. Once more:')
  }
  throw new Error(`no worker had a payment when it was killed, ${ROUNDS_MAX} times`)
}

/** Resolves with false if all payments are settled before the two workers have some of them at the same time. */
async function untilBothAreBusy(story: Story, batch: Batch): Promise<boolean> {
  for (;;) {
    const payments = await readBatch(apiOf(story), batch, story.signal)
    // More than one worker has at a time.
    if (payments.filter(({ waiting_for }) => waiting_for === 'provider').length > AT_ONCE) return true
    if (payments.every(({ status }) => status !== 'PENDING')) return false
    await pause(LOOK_AGAIN_MS, story.signal)
    story.signal.throwIfAborted()
  }
}

/** The payments of which a lease ran out, which counts as an attempt, in the order of their settlement. */
async function takenOver(
  { stack }: Story,
  { ids }: Batch,
  killedAt: number,
): Promise<{ id: string; afterMs: number }[]> {
  const rows = await query<{ id: string; settled_at: Date }>(
    stack.file().database_url,
    'select id, settled_at from payments where id = any($1) and attempts > 0 order by settled_at',
    { values: [ids] },
  )
  return rows.map(({ id, settled_at }) => ({ id, afterMs: settled_at.getTime() - killedAt }))
}

/** Counts in PostgreSQL what the story claims. */
async function tellSum({ stack, screen }: Story, answered: number): Promise<void> {
  const [sum] = await query<{ payments: number; success: number; settlements: number }>(
    stack.file().database_url,
    `select count(*)::int as payments, count(*) filter (where status = 'SUCCESS')::int as success,
       (select count(*)::int from payment_events where type = 'payment.succeeded') as settlements from payments`,
  )
  const { payments, success, settlements } = defined(sum, 'count of the payments')
  screen.title('3. The sum')
  screen.paragraph(`${answered} payments were answered with 201. PostgreSQL has ${payments}, and ${success} are SUCCESS. It has
    ${settlements} events of a settlement: none was lost, and none was settled twice.`)
  if (new Set([answered, payments, success, settlements]).size > 1) throw new Error('the sum is wrong')
}

function apiOf({ stack }: Story): string {
  return defined(stack.file().api[0], 'API')
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
