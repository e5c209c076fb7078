import { defined, eventually } from '@cashflow/async'
import { openPool } from '@cashflow/dev-stack'
import { type ServiceProcess, startService } from './service-process.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'
import { createTestVhost, type TestVhost } from './test-vhost.ts'

/** A service that payments pass through. */
export type Role = 'api' | 'relay' | 'worker'

/** A service. Not every pipeline sends webhooks. */
export type ServiceRole = Role | 'webhooks'

export type Pipeline = Awaited<ReturnType<typeof startPipeline>>

/** Starts the real services as processes, on their own database and vhost. */
export async function startPipeline(
  sizes: Record<Role, number> & { webhooks?: number },
  settings: Record<string, string> = {},
  servers: { database?: Pick<TestDatabase, 'url' | 'drop'>; vhost?: TestVhost } = {},
) {
  const { database = await createTestDatabase(), vhost = await createTestVhost() } = servers
  const db = openPool(database.url, { max: 4 })
  const env = { DATABASE_URL: database.url, RABBITMQ_URL: vhost.url, PORT: '0', PROVIDER_DELAY_MS: '0', ...settings }
  const processes: Record<ServiceRole, ServiceProcess[]> = { api: [], relay: [], worker: [], webhooks: [] }
  const urls: string[] = []
  let turn = 0

  /** Starts another process, with settings in addition to the pipeline's, and with arguments for Node. */
  async function start(role: ServiceRole, extra: Record<string, string> = {}, nodeArguments: readonly string[] = []) {
    const service = startService(role, { ...env, ...extra }, nodeArguments)
    processes[role].push(service)
    await service.logged('ready', { timeoutMs: 60_000 })
    if (role === 'api') urls.push(String((await service.logged('listening')).url))
    return service
  }

  async function countMessages(queue: string, counter: 'messages' | 'messages_ready'): Promise<number> {
    const counts = await vhost.management.request('GET', `/queues/${vhost.name}/${queue}`)
    return (counts as Record<typeof counter, number | undefined>)[counter] ?? Number.NaN
  }

  const roles = Object.keys(processes) as ServiceRole[]
  await Promise.all(roles.flatMap((role) => Array.from({ length: sizes[role] ?? 0 }, () => start(role))))
  return {
    databaseUrl: database.url,
    db,
    processes,
    start,
    /** Creates a payment at one of the APIs, in turn, and returns the answer. */
    post(reference: string, headers: Record<string, string> = {}) {
      turn += 1
      return postTo(defined(urls[turn % urls.length], 'running API'), reference, headers)
    },
    /** Publishes a message to the work queue as an operator does in the management UI. */
    async publish(body: string) {
      const message = { properties: {}, routing_key: 'payments', payload: body, payload_encoding: 'string' }
      const { request } = vhost.management
      const answer = await request('POST', `/exchanges/${vhost.name}/amq.default/publish`, message)
      if (!(answer as { routed: boolean }).routed) throw new Error('there is no work queue')
    },
    /** Ready and unacknowledged messages of a queue, by default the work queue. */
    queueDepth: (queue = 'payments') => countMessages(queue, 'messages'),
    /** Number of messages of the work queue that no worker has. */
    readyMessages: () => countMessages('payments', 'messages_ready'),
    /** Removes the ready messages of the work queue, as a broker that loses its disk does. */
    async purge() {
      await vhost.management.request('DELETE', `/queues/${vhost.name}/payments/contents`)
    },
    /** Takes the next message of the work queue and requeues it, as RabbitMQ does when a consumer dies. */
    async requeueOne() {
      const options = { count: 1, ackmode: 'reject_requeue_true', encoding: 'auto' }
      await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, options)
    },
    async stop() {
      const all = roles.flatMap((role) => processes[role])
      await Promise.all(all.map((service) => service.stop()))
      await db.end()
      await eventually(() => database.drop())
      await vhost.drop()
    },
  }
}

/** Creates a payment at an API. `id` is '' for an answer without one. */
export async function postTo(url: string, reference: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/api/v1/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ amount: 100.5, currency: 'USD', reference }),
  })
  const body = (await response.json()) as { id?: string; payment_id?: string }
  return { status: response.status, id: body.id ?? body.payment_id ?? '' }
}
