import { WORK_TOPICS } from '@cashflow/domain'
import { compareTopology, createConnection, lookAtQueue, type Topology, workQueue } from '@cashflow/messaging'
import {
  type BrokerTls,
  brokerTls,
  brokerUrls,
  createBrokerTls,
  parseEnv,
  redact,
  withBrokerRules,
} from '@cashflow/runtime'
import type { OperatorSettings } from '../settings.ts'
import { brokerCertificateLines, brokerEncryptionLine } from './broker-tls.ts'
import { explained, type Paused } from './findings.ts'
import { type Line, lineOf, ok, wrong } from './line.ts'
import { doctorEnv } from './settings.ts'

const CONNECT_MS = 6_000
const LOOK_MS = 5_000

/**
 * Checks RabbitMQ, if settings or the stack that runs here name it.
 *
 * @param paused pauses explain that a queue has no consumer
 */
export async function brokerLines({ env, stack }: OperatorSettings, paused: Paused): Promise<Line[]> {
  const isNamed = env.RABBITMQ_URL || env.MQ_HOST
  const given = isNamed ? env : { ...env, RABBITMQ_URL: stack?.rabbitmq_url }
  if (!given.RABBITMQ_URL && !given.MQ_HOST)
    return [ok('RabbitMQ', 'not checked from here: neither RABBITMQ_URL nor MQ_HOST is set')]
  let found: Broker | undefined
  const settings = await lineOf('RabbitMQ', async () => {
    const parsed = parseEnv(withBrokerRules(doctorEnv), given)
    const topology = workQueue({ queue: parsed.MQ_QUEUE, exchange: parsed.MQ_EXCHANGE, topics: WORK_TOPICS })
    found = { urls: brokerUrls(parsed), tls: brokerTls(parsed), topology }
    return ok('RabbitMQ', found.urls.map((url) => redact(url)).join(', '))
  })
  return found
    ? [...(await connectedLines(found, paused)), ...(await brokerCertificateLines(found.urls, found.tls))]
    : [settings]
}

interface Broker {
  readonly urls: readonly string[]
  readonly tls: BrokerTls
  readonly topology: Topology
}

async function connectedLines({ urls, tls, topology }: Broker, paused: Paused): Promise<Line[]> {
  const { queue, deadLetterQueue: dead } = topology
  let why = 'it did not answer in time'
  const note = (_message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (fields?.reason !== undefined) why = String(redact(fields.reason))
  }
  const logger = { debug() {}, info() {}, warn: note, error: note }
  const options = { urls, tls: createBrokerTls(tls, logger), logger, connectTimeoutMs: LOOK_MS }
  const connection = createConnection({ ...options, name: 'cashflow-operator' })
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
      brokerEncryptionLine(broker.endpoint.url, broker.encryption, tls),
      await lineOf(`queue ${queue}`, async () => queueLine(queue, await look(queue), explained(paused, 'worker'))),
      await lineOf(`queue ${dead}`, async () => queueLine(dead, await look(dead), explained(paused, 'any'))),
      await lineOf('topology', async () =>
        topologyLine(await compareTopology(broker, topology, AbortSignal.timeout(LOOK_MS), LOOK_MS)),
      ),
    ]
  } finally {
    await connection.stop()
  }
}

/** @param pause the pause during which the queue has no consumer */
function queueLine(queue: string, state: Awaited<ReturnType<typeof lookAtQueue>>, pause: string | undefined): Line {
  const check = `queue ${queue}`
  if (state === 'missing') return wrong(check, 'is missing. Start a worker, which declares it, or compare MQ_QUEUE.')
  const found = `${state.ready} ready, ${state.consumers} consumers`
  if (state.consumers > 0) return ok(check, found)
  if (pause !== undefined) return ok(check, `${found}: ${pause}`)
  return wrong(check, `${found}. Start a worker, or compare MQ_QUEUE.`)
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
