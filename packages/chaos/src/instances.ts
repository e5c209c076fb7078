import { eventually } from '@cashflow/testing'
import type { Clients } from './clients.ts'
import { DEAD_QUEUE, listQueues, WORK_QUEUE } from './queues.ts'
import type { System } from './system.ts'

const PATIENTLY = { timeoutMs: 60_000, intervalMs: 250 }

/**
 * The instances that do not do their part, and which part: behind a twin that does the work of both, one that hangs
 * would go unnoticed. For a system in good weather, with nothing on its way.
 */
export async function findIdle(system: System, clients: Clients): Promise<string[]> {
  const { services, apiUrls, broker, countRows } = system
  const idle: string[] = []
  const expect = async (what: string, attempt: () => Promise<void>) => {
    await eventually(attempt, PATIENTLY).catch((error: Error) => idle.push(`${what}: ${error.message}`))
  }
  const settled = async () => {
    const { pending } = await countRows()
    if (pending > 0) throw new Error(`${pending} payments wait`)
  }

  for (const [index, url] of apiUrls.entries())
    await expect(`${services.api[index]?.name} takes payments`, async () => clients.create(url))
  for (const relay of services.relay) {
    const others = services.relay.filter((other) => other !== relay)
    await Promise.all(others.map((other) => other.freeze()))
    await expect(`${relay.name} publishes by itself`, async () => clients.create(apiUrls[0] ?? ''))
    await expect(`${relay.name} publishes by itself`, settled)
    await Promise.all(others.map((other) => other.thaw()))
  }
  for (const worker of services.worker) {
    // Frozen ones would keep their deliveries.
    const others = services.worker.filter((other) => other !== worker)
    await Promise.all(others.map((other) => other.stop()))
    await expect(`${worker.name} settles by itself`, async () => clients.create(apiUrls[0] ?? ''))
    await expect(`${worker.name} settles by itself`, settled)
    await Promise.all(others.map((other) => other.start()))
  }
  const { length: count } = services.worker
  await expect(`all of ${count} workers consume`, async () => {
    const queues = (await listQueues(broker)).filter(({ name }) => name === WORK_QUEUE || name === DEAD_QUEUE)
    const missing = queues.filter(({ consumers }) => consumers !== count)
    if (queues.length < 2 || missing.length > 0) throw new Error(JSON.stringify(queues))
  })
  return idle
}
