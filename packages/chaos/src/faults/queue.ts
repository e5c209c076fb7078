import { setTimeout as sleep } from 'node:timers/promises'
import type { RabbitmqCluster } from '@cashflow/testing'
import { eventually, management } from '@cashflow/testing'
import type { Fault, Part } from '../fault.ts'
import { pound } from '../pounding.ts'
import { listQueues, OBSERVING_QUEUE, type QueueState, WORK_QUEUE } from '../queues.ts'
import type { System } from '../system.ts'

const TOPIC = 'payment.created'
const PATIENTLY = { timeoutMs: 120_000, intervalMs: 500 }

/**
 * Nobody may connect meanwhile: of a queue that is deleted while it is being declared RabbitMQ may never take the name
 * again until it restarts, https://github.com/rabbitmq/rabbitmq-server/issues/17137
 */
const WHO_DECLARES: readonly Part[] = ['broker', 'broker links', 'relay', 'worker']

const DELETIONS = 3
const BETWEEN_DELETIONS_MS = 400
const MESSAGES = 50
/** If the queue is not declared by then, RabbitMQ does not let it be declared. */
const DECLARED_MS = 20_000
const SHUT_DOWN_MS = 30_000

// The cancel that a channel sends for its consumer, without the channel: that is told nothing.
const FORGET_CONSUMERS = `
  {ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${WORK_QUEUE}">>)),
  [ra:process_command(amqqueue:get_pid(Queue),
    rabbit_fifo:make_checkout({element(2, Consumer), element(1, Consumer)}, cancel, #{}))
    || Consumer <- rabbit_amqqueue:consumers(Queue)].`

/** What the relays and workers have declared is gone. */
export const QUEUE_FAULTS: readonly Fault[] = [
  {
    name: 'queue-delete',
    disturbs: WHO_DECLARES,
    lastsMs: [0, 0],
    healsMs: 8_000,
    async run(system) {
      await consumed(system)
      await askManagement(system, 'DELETE', `/queues/%2F/${WORK_QUEUE}`)
      await consumed(system)
    },
  },
  {
    // Publishers fill it, and declare it again, at the same time. RabbitMQ 3.10 then forgets most consumers of the queue, and
    // sends them no cancel. The workers have to subscribe again by themselves: the checks at the end show whether they did.
    name: 'queue-delete-under-load',
    disturbs: WHO_DECLARES,
    lastsMs: [0, 0],
    healsMs: 15_000,
    async run(system, { say }) {
      await consumed(system)
      const again = [...system.observer.sightings.values()].filter(({ topic }) => topic === TOPIC).slice(-MESSAGES)
      if (again.length === 0) return 'no effect'
      const ending = new AbortController()
      const urls = system.broker.nodes.map(({ url }) => url)
      const pounding = pound(urls, again, ending.signal)
      for (let deletion = 0; deletion < DELETIONS; deletion++) {
        await sleep(BETWEEN_DELETIONS_MS)
        await deleteQueue(system)
      }
      await sleep(BETWEEN_DELETIONS_MS)
      ending.abort()
      await pounding
      const declared = () => eventually(() => isDeclared(system), { ...PATIENTLY, timeoutMs: DECLARED_MS })
      await declared().catch(async (error: Error) => {
        say(`RabbitMQ takes the name ${WORK_QUEUE} no more, its nodes are restarted: ${error.message}`)
        await restartNodes(system)
        await eventually(() => isDeclared(system), PATIENTLY)
      })
      return undefined
    },
  },
  {
    name: 'consumers-forgotten',
    disturbs: WHO_DECLARES,
    lastsMs: [0, 0],
    healsMs: 15_000,
    async run(system) {
      await consumed(system)
      await system.broker.nodes[0]?.ctl('eval', FORGET_CONSUMERS)
    },
  },
  {
    // Nobody takes the message that says a payment was made: only `mandatory` tells the relay.
    name: 'binding-delete',
    disturbs: WHO_DECLARES,
    lastsMs: [500, 1_000],
    healsMs: 10_000,
    async run(system, { over }) {
      await consumed(system)
      const { snapshot, waiting } = await readWaiting(system)
      const from = Date.now()
      for (const queue of [OBSERVING_QUEUE, WORK_QUEUE])
        await askManagement(system, 'DELETE', `${bindingsOf(queue)}/${TOPIC}`)
      await over()
      // The relay declares it again when a message comes back.
      await eventually(async () => {
        const bindings = await askManagement(system, 'GET', bindingsOf(WORK_QUEUE))
        if (!(bindings as { routing_key: string }[]).some(({ routing_key }) => routing_key === TOPIC))
          throw new Error('nobody has bound the queue again')
      }, PATIENTLY)
      await askManagement(system, 'POST', bindingsOf(OBSERVING_QUEUE), { routing_key: TOPIC })
      const to = Date.now()
      const since = await readSince(system, snapshot)
      system.observer.unobserved.push({ topic: TOPIC, from, to, waiting: new Set([...waiting, ...since]) })
    },
  },
]

export async function findQueue(broker: RabbitmqCluster): Promise<QueueState | undefined> {
  return (await listQueues(broker)).find(({ name }) => name === WORK_QUEUE)
}

/** Resolves when the queue is there as a whole: who lost it before has declared it, bound it, and consumes. */
async function consumed({ broker, services, links }: System): Promise<void> {
  await eventually(async () => {
    const consumers = (await findQueue(broker))?.consumers ?? 0
    if (consumers < services.worker.length) throw new Error(`${consumers} workers consume the queue ${WORK_QUEUE}`)
    const connected = links.broker.of('relay').reduce((sum, { open }) => sum + open, 0)
    if (connected < services.relay.length) throw new Error(`${connected} relays are connected`)
  }, PATIENTLY)
}

/** It may be gone already: the publishers have not declared it again yet. */
async function deleteQueue(system: System): Promise<void> {
  await askManagement(system, 'DELETE', `/queues/%2F/${WORK_QUEUE}`).catch((error: Error) => {
    if (!error.message.includes(': 404 ')) throw error
  })
}

async function isDeclared({ broker }: System): Promise<void> {
  if (!(await findQueue(broker))) throw new Error(`there is no queue ${WORK_QUEUE}`)
}

/** What RabbitMQ's maintainers advise where a name cannot be used. */
async function restartNodes({ broker }: System): Promise<void> {
  for (const node of broker.nodes) {
    await node.shutDown({ patienceMs: SHUT_DOWN_MS })
    await broker.start()
  }
}

/** The payments whose message was still to be published, and what that was read from. */
async function readWaiting({ query }: System): Promise<{ snapshot: string; waiting: string[] }> {
  const [row] = await query<{ snapshot: string; waiting: string[] }>(`
    select pg_current_snapshot()::text as snapshot, array(
      select key from outbox_messages where topic = '${TOPIC}'
      union select key from outbox_scheduled where topic = '${TOPIC}'
    ) as waiting`)
  if (!row) throw new Error('PostgreSQL has answered with no row')
  return row
}

/** The payments that could not be seen then. Some bear an earlier time: COMMIT takes it before it waits for the standby. */
async function readSince({ query }: System, snapshot: string): Promise<string[]> {
  const rows = await query<{ id: string }>(`
    select payment_id as id from payment_events
    where type = '${TOPIC}' and not pg_visible_in_snapshot(xid, '${snapshot}')`)
  return rows.map(({ id }) => id)
}

function bindingsOf(queue: string): string {
  return `/bindings/%2F/e/payments/q/${queue}`
}

function askManagement({ broker }: System, method: string, path: string, body?: unknown): Promise<unknown> {
  return management(broker.nodes[0]?.managementUrl ?? '').request(method, path, body)
}
