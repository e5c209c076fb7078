import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import { eventually, management, type RabbitmqCluster } from '@cashflow/testing'
import { republishInLoop } from '../duplicator.ts'
import type { Fault, SystemPart } from '../fault.ts'
import { listQueues, OBSERVING_QUEUE, type QueueState, WORK_QUEUE } from '../queues.ts'
import type { System } from '../system.ts'

const TOPIC = 'payment.created'
const PATIENT = { timeoutMs: 120_000, intervalMs: 500 }

/**
 * Parts that declare the queue. None of them may reconnect during the fault: when a queue is deleted while it is being
 * declared, RabbitMQ may refuse its name until it restarts, https://github.com/rabbitmq/rabbitmq-server/issues/17137
 */
const DECLARING_PARTS: readonly SystemPart[] = ['broker', 'broker links', 'relay', 'worker']

const DELETIONS = 3
const BETWEEN_DELETIONS_MS = 400
const MESSAGES = 50
/** A queue that is not declared by then cannot be declared before RabbitMQ restarts. */
const DECLARED_MS = 20_000
/** A node shuts down in about 6 seconds. */
const SHUT_DOWN_MS = 30_000

// Sends the `cancel` that a channel sends for its consumer. The channel itself, and so the service, does not learn of
// it.
const FORGET_CONSUMERS = `
  {ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${WORK_QUEUE}">>)),
  [ra:process_command(amqqueue:get_pid(Queue),
    rabbit_fifo:make_checkout({element(2, Consumer), element(1, Consumer)}, cancel, #{}))
    || Consumer <- rabbit_amqqueue:consumers(Queue)].`

/** The queue, its binding or its consumers are gone. */
export const QUEUE_FAULTS: readonly Fault[] = [
  {
    name: 'queue-delete',
    disturbs: DECLARING_PARTS,
    lastsMs: [0, 0],
    recoveryMs: 8_000,
    async run(system) {
      await consumed(system)
      await askManagement(system, 'DELETE', `/queues/%2F/${WORK_QUEUE}`)
      await consumed(system)
    },
  },
  {
    // Publishers fill the queue and declare it again at the same time. RabbitMQ 3.10 then forgets most consumers of the
    // queue, and sends them no `basic.cancel`. The final checks show whether the workers subscribed again.
    name: 'queue-delete-under-load',
    disturbs: DECLARING_PARTS,
    lastsMs: [0, 0],
    recoveryMs: 15_000,
    async run(system, { say }) {
      await consumed(system)
      const again = [...system.observer.sightings.values()].filter(({ topic }) => topic === TOPIC).slice(-MESSAGES)
      if (again.length === 0) return 'no effect'
      const ending = new AbortController()
      const urls = system.broker.nodes.map(({ url }) => url)
      const pounding = republishInLoop(urls, again, ending.signal)
      for (let deletion = 0; deletion < DELETIONS; deletion++) {
        await sleep(BETWEEN_DELETIONS_MS)
        await deleteQueue(system)
      }
      await sleep(BETWEEN_DELETIONS_MS)
      ending.abort()
      await pounding
      await declared(system, DECLARED_MS).catch(async (error: Error) => {
        say(`RabbitMQ refuses the name ${WORK_QUEUE}, restarting its nodes: ${error.message}`)
        await restartNodes(system.broker) // As RabbitMQ's maintainers advise.
        await declared(system)
      })
      return undefined
    },
  },
  {
    name: 'consumers-forgotten',
    disturbs: DECLARING_PARTS,
    lastsMs: [0, 0],
    recoveryMs: 15_000,
    async run(system) {
      await consumed(system)
      await defined(system.broker.nodes[0], 'node').ctl('eval', FORGET_CONSUMERS)
    },
  },
  {
    // No queue takes `payment.created`. The relay learns this only because of `mandatory`.
    name: 'binding-delete',
    disturbs: DECLARING_PARTS,
    lastsMs: [500, 1_000],
    recoveryMs: 10_000,
    async run(system, { untilEnd }) {
      await consumed(system)
      const { snapshot, waiting } = await readWaiting(system)
      const from = Date.now()
      for (const queue of [OBSERVING_QUEUE, WORK_QUEUE])
        await askManagement(system, 'DELETE', `${bindingsOf(queue)}/${TOPIC}`)
      await untilEnd()
      // The relay declares the binding again when a message is returned.
      await eventually(async () => {
        const bindings = await askManagement(system, 'GET', bindingsOf(WORK_QUEUE))
        if (!(bindings as { routing_key: string }[]).some(({ routing_key }) => routing_key === TOPIC))
          throw new Error('the queue is not bound again')
      }, PATIENT)
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

/** Resolves when the queue is declared and bound, and every worker consumes it. */
async function consumed({ broker, services, links }: System): Promise<void> {
  await eventually(async () => {
    const consumers = (await findQueue(broker))?.consumers ?? 0
    if (consumers < services.worker.length) throw new Error(`${consumers} workers consume the queue ${WORK_QUEUE}`)
    const connected = links.broker.of('relay').reduce((sum, { open }) => sum + open, 0)
    if (connected < services.relay.length) throw new Error(`${connected} relays are connected`)
  }, PATIENT)
}

/** Deletes the queue, if it exists: the publishers may not have declared it again yet. */
async function deleteQueue(system: System): Promise<void> {
  await askManagement(system, 'DELETE', `/queues/%2F/${WORK_QUEUE}`).catch((error: Error) => {
    if (!error.message.includes(': 404 ')) throw error
  })
}

async function declared({ broker }: System, timeoutMs = PATIENT.timeoutMs): Promise<void> {
  const expectQueue = async () => defined(await findQueue(broker), `queue ${WORK_QUEUE}`)
  await eventually(expectQueue, { ...PATIENT, timeoutMs })
}

/** Restarts one node after the other, each when all nodes run. */
export async function restartNodes(broker: RabbitmqCluster, whileDown = async () => {}): Promise<undefined> {
  for (const node of broker.nodes) {
    await node.shutDown({ patienceMs: SHUT_DOWN_MS })
    await whileDown()
    await broker.start()
  }
}

/** Returns the payments whose message was not yet published, and the snapshot in which they were read. */
async function readWaiting({ query }: System): Promise<{ snapshot: string; waiting: string[] }> {
  const [row] = await query<{ snapshot: string; waiting: string[] }>(`
    select pg_current_snapshot()::text as snapshot, array(
      select key from outbox_messages where topic = '${TOPIC}'
      union select key from outbox_scheduled where topic = '${TOPIC}'
    ) as waiting`)
  return defined(row, 'row')
}

/**
 * Returns the payments that the snapshot did not show. Some have an earlier commit time, because COMMIT takes the time
 * before it waits for the standby.
 */
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
  return management(defined(broker.nodes[0], 'node').managementUrl).request(method, path, body)
}
