import { defined } from '@cashflow/async'
import { insertPayments, type Tables } from '@cashflow/db'
import { appendMessages, createFloors, createTopics, promoteDue, runPass } from '@cashflow/outbox'
import { aMessage, aPayment, nullLogger } from '@cashflow/testing'
import { type Kysely, sql } from 'kysely'
import { createBatches } from '../../src/batches.ts'
import { processPayment } from '../../src/process-payment.ts'
import { attemptCharge, type Charge, type ProviderAnswer } from '../../src/provider/provider.ts'
import { type Broker, createBroker, type Delivery, type Reception } from './broker.ts'
import { createFaultyDatabase } from './faulty-database.ts'
import { broken, unfinished } from './ledger.ts'
import { type Calls, createCalls } from './provider.ts'
import { type Actor, createStage, type Fate } from './stage.ts'

export interface Script {
  payments: number
  relays: number
  workers: number
  steps: readonly { choice: number; fate: Fate }[]
  receptions: readonly Reception[]
  answers: readonly ProviderAnswer[]
}

const LIMITS = { lanesMax: 8, messagesPerLaneMax: 3, bytesMax: 1_000_000, confirmDeadlineMs: 60_000 }
const QUIET_STEPS_MAX = 3_000
/** Deliveries of a worker that takes several: two settlements commit at once while the others gather in a batch. */
const IN_FLIGHT_MAX = 4

/** Plays a script with the real passes and workers on a real database. Then runs without faults until no work is left. */
export async function play(db: Kysely<Tables>, url: string, script: Script): Promise<void> {
  const broker = createBroker(taking(script.receptions, 'confirmed'))
  const calls = createCalls(taking(script.answers, { outcome: 'approved' }))
  const world = createWorld(url)
  const payments = await Promise.all(Array.from({ length: script.payments }, () => storePayment(db)))
  const game: Game = { db, script, broker, calls, world, payments }
  const events = createEvents(game)
  try {
    await playSteps(game, events)
    await playToTheEnd(game, events)
  } finally {
    await world.end()
  }
}

interface Game {
  readonly db: Kysely<Tables>
  readonly script: Script
  readonly broker: Broker
  readonly calls: Calls
  readonly world: ReturnType<typeof createWorld>
  readonly payments: readonly string[]
}

type Event = () => Promise<void> | void

/** @returns the events that could happen next, in addition to the waiting turns. `quiet`: without faults and new work */
function createEvents({ db, script, broker, calls, world, payments }: Game): (quiet: boolean) => Event[] {
  const delivered: Delivery[] = []
  const floors = createFloors()
  // The clock advances by a minute per look, so that a refused message is tried again as soon as it is due in the database.
  let clock = 0
  const topics = createTopics({ now: () => (clock += 60_001) })

  let lane = 0
  const pass = async (database: Kysely<Tables>, actor: Actor) => {
    try {
      const publisher = broker.publisherFor(actor, world.stage)
      lane = (await runPass({ db: database, publisher, floors, topics, limits: LIMITS }, lane)).nextLane
    } catch {
      floors.forget()
    }
  }
  const work = (count: number) => {
    const deliveries = broker.queue.splice(0, count)
    delivered.push(...deliveries)
    world.begin('worker', (database, actor) => process({ broker, calls, world }, database, actor, deliveries))
  }
  const write = async (database: Kysely<Tables>) => {
    const key = defined(payments[delivered.length % payments.length], 'payment')
    await database.transaction().execute(async (tx) => {
      await sql`select from payments where id = ${key} for update`.execute(tx)
      await appendMessages(tx, [retryOf(key), retryOf(key)])
    })
  }
  const timePasses = async () => void (await sql`update outbox_scheduled set due_at = now()`.execute(db))
  const leasesEnd = async () => {
    const { rows } = await sql<{ id: string }>`update payments set lease_until = now() where id in (
      select id from payments where lease_until > now() for update skip locked) returning id`.execute(db)
    for (const { id } of rows) calls.leaseEnded(id)
  }

  return (quiet) => {
    const idle = (role: string, count: number) => world.busy(role) < count
    const list: Event[] = []
    if (idle('relay', script.relays)) list.push(() => world.begin('relay', pass))
    if (idle('promoter', 2)) list.push(() => world.begin('promoter', (database) => promoteDue(database, topics)))
    if (broker.queue.length > 0 && idle('worker', script.workers)) list.push(() => work(1))
    if (broker.queue.length > 1 && idle('worker', script.workers)) list.push(() => work(IN_FLIGHT_MAX))
    if (world.stage.blocked === 0) list.push(timePasses, leasesEnd)
    if (quiet) return list
    if (calls.live.size > 0 && world.stage.blocked === 0) list.push(leasesEnd, leasesEnd)
    if (idle('writer', 1)) list.push(() => world.begin('writer', write))
    const again = delivered[delivered.length - 1]
    if (again && broker.queue.length < 3) list.push(() => void broker.queue.unshift(again))
    return list
  }
}

/** Processes deliveries as a worker does, together. */
async function process(
  { broker, calls, world }: Pick<Game, 'broker' | 'calls' | 'world'>,
  db: Kysely<Tables>,
  actor: Actor,
  deliveries: readonly Delivery[],
): Promise<void> {
  const provider = calls.providerFor(actor, world.stage)
  const charge: Charge = (payment, attempt) => attemptCharge(provider, payment, attempt)
  const shared = { db, providerDeadlineMs: 60_000, attemptsMax: 3, redriveAfterMs: 60_000 }
  const options = {
    ...shared,
    batches: createBatches(shared),
    charge,
    logger: nullLogger,
    settled() {},
    random: () => 0,
  }
  const processOne = async (delivery: Delivery) => {
    try {
      const { signal } = new AbortController()
      const processed = await processPayment({ ...delivery, requestId: 'r' }, options, signal)
      if (processed === 'pending') calls.pendingStored(delivery.paymentId)
    } catch {
      broker.queue.push(delivery) // Without an ack it is delivered again.
    }
  }
  await Promise.all(deliveries.map(processOne))
}

async function check({ db, broker, calls }: Game): Promise<void> {
  const lines = await broken(db, broker, calls)
  if (lines.length > 0) throw new Error(lines.join('\n'))
}

async function playSteps(game: Game, events: ReturnType<typeof createEvents>): Promise<void> {
  const { stage } = game.world
  for (const { choice, fate } of game.script.steps) {
    const { turns } = stage
    // Turns are three times as likely as new events. Otherwise much work would begin and little would end.
    const options = [...turns, ...turns, ...turns, ...events(false)]
    const chosen = options[choice % options.length]
    if (typeof chosen === 'function') await chosen()
    else if (chosen) {
      await stage.give(chosen, fate)
      await check(game)
    }
  }
}

async function playToTheEnd(game: Game, events: ReturnType<typeof createEvents>): Promise<void> {
  const { db, broker, world } = game
  let left: string[] = []
  for (let step = 0; step < QUIET_STEPS_MAX; step += 1) {
    const turn = world.stage.turns[0]
    if (turn) {
      await world.stage.give(turn, 'done')
      continue
    }
    await check(game)
    left = await unfinished(db, broker)
    if (left.length === 0 && broker.queue.length === 0 && world.busy() === 0) return
    for (const event of events(true)) await event()
  }
  throw new Error(`work is left after ${QUIET_STEPS_MAX} steps:\n${left.join('\n')}`)
}

interface Process {
  readonly actor: Actor
  readonly database: Kysely<Tables>
}

function createWorld(url: string) {
  const stage = createStage()
  const running = new Map<Process, string>()
  const idle = new Map<string, Process[]>()
  const closing: Promise<void>[] = []
  let born = 0

  function start(role: string): Process {
    born += 1
    const actor: Actor = { name: `${role} ${born}`, dead: false, endings: [] }
    return { actor, database: createFaultyDatabase(url, actor, stage) }
  }

  return {
    stage,
    busy: (role?: string) => [...running.values()].filter((one) => role === undefined || one === role).length,
    /** Runs a task in an idle process of the role, or in a new one. */
    begin(role: string, task: (database: Kysely<Tables>, actor: Actor) => Promise<unknown>) {
      const process = idle.get(role)?.pop() ?? start(role)
      const { actor, database } = process
      running.set(process, role)
      void task(database, actor)
        .catch(() => {})
        .finally(() => {
          running.delete(process)
          if (actor.dead) closing.push(database.destroy())
          else idle.set(role, [...(idle.get(role) ?? []), process])
        })
    },
    async end() {
      for (const { actor } of running.keys()) actor.dead = true
      for (const turn of [...stage.turns]) await stage.give(turn, 'dies_before')
      await Promise.all([...closing, ...[...idle.values()].flat().map(({ database }) => database.destroy())])
    },
  }
}

function taking<Item>(list: readonly Item[], then: Item): () => Item {
  let at = 0
  return () => list[at++] ?? then
}

const retryOf = (key: string) => aMessage({ key, topic: 'payment.retry', payload: { payment_id: key } })

async function storePayment(db: Kysely<Tables>): Promise<string> {
  const { payment, event } = aPayment()
  const messages = [{ ...retryOf(payment.id), topic: event.type }]
  const created = { payment, event, requestId: 'r', messages }
  await db.transaction().execute((tx) => insertPayments(tx, [created], { redriveAfterMs: 60_000 }))
  return payment.id
}
