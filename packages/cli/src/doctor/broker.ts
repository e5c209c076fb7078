import { WORK_TOPICS } from '@cashflow/domain'
import { compareTopology, createConnection, lookAtQueue, type Topology, workQueue } from '@cashflow/messaging'
import { brokerUrls, parseEnv, redact } from '@cashflow/runtime'
import type { OperatorSettings } from '../settings.ts'
import { type Line, lineOf, ok, wrong } from './line.ts'
import { doctorEnv } from './settings.ts'

const CONNECT_MS = 6_000
const LOOK_MS = 5_000

/** Checks RabbitMQ, if settings or the stack that runs here name it. */
export async function brokerLines({ env, stack }: OperatorSettings): Promise<Line[]> {
  const isNamed = env.RABBITMQ_URL || env.MQ_HOST
  const given = isNamed ? env : { ...env, RABBITMQ_URL: stack?.rabbitmq_url }
  if (!given.RABBITMQ_URL && !given.MQ_HOST)
    return [ok('RabbitMQ', 'not checked from here: neither RABBITMQ_URL nor MQ_HOST is set')]
  let urls: readonly string[] = []
  let topology: Topology | undefined
  const settings = await lineOf('RabbitMQ', async () => {
    const parsed = parseEnv(doctorEnv, given)
    urls = brokerUrls(parsed)
    topology = workQueue({ queue: parsed.MQ_QUEUE, exchange: parsed.MQ_EXCHANGE, topics: WORK_TOPICS })
    return ok('RabbitMQ', urls.map((url) => redact(url)).join(', '))
  })
  return settings.ok && topology ? await connectedLines(urls, topology) : [settings]
}

async function connectedLines(urls: readonly string[], topology: Topology): Promise<Line[]> {
  const { queue, deadLetterQueue: dead } = topology
  let why = 'it did not answer in time'
  const note = (_message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (fields?.reason !== undefined) why = String(redact(fields.reason))
  }
  const logger = { debug() {}, info() {}, warn: note, error: note }
  const connection = createConnection({ urls, name: 'cashflow-operator', logger, connectTimeoutMs: LOOK_MS })
  try {
    await connection.start()
    const broker = await connection.broker(AbortSignal.timeout(CONNECT_MS)).catch(() => undefined)
    if (!broker)
      return [wrong('RabbitMQ', `cannot be reached: ${why}. Start it, or check RABBITMQ_URL, or MQ_HOST and MQ_PORT.`)]
    const look = (name: string) => lookAtQueue(broker, name, AbortSignal.timeout(LOOK_MS), LOOK_MS)
    return [
      connection.blocked
        ? wrong('RabbitMQ', 'blocks publishers: free memory or disk space of its machine')
        : ok('RabbitMQ', `connected to ${broker.endpoint.name}`),
      await lineOf(`queue ${queue}`, async () => queueLine(queue, await look(queue))),
      await lineOf(`queue ${dead}`, async () => queueLine(dead, await look(dead))),
      await lineOf('topology', async () =>
        topologyLine(await compareTopology(broker, topology, AbortSignal.timeout(LOOK_MS), LOOK_MS)),
      ),
    ]
  } finally {
    await connection.stop()
  }
}

function queueLine(queue: string, state: Awaited<ReturnType<typeof lookAtQueue>>): Line {
  const check = `queue ${queue}`
  if (state === 'missing') return wrong(check, 'is missing. Start a worker, which declares it, or compare MQ_QUEUE.')
  const found = `${state.ready} ready, ${state.consumers} consumers`
  if (state.consumers > 0) return ok(check, found)
  return wrong(check, `${found}. Start a worker, compare MQ_QUEUE, or see whether workers are paused: cashflow status.`)
}

function topologyLine(differences: readonly string[]): Line {
  if (differences.length === 0)
    return ok(
      'topology',
      'exchanges and queues are as this version declares them; bindings cannot be checked from here',
    )
  return wrong(
    'topology',
    `${differences.join('; ')}. Start a worker, which declares what is missing. Delete what differs when its queue is empty, or choose another MQ_QUEUE.`,
  )
}
