import { defined } from '@cashflow/async'
import { eventually } from '@cashflow/testing'
import type { Clients } from './clients.ts'
import { DEAD_QUEUE, listQueues, WORK_QUEUE } from './queues.ts'
import type { System } from './system.ts'

const PATIENT = { timeoutMs: 60_000, intervalMs: 250 }

/**
 * Finds the instances that do not do their work when they are alone, and says which work. Otherwise an instance that hangs
 * would go unnoticed, because a second one does the work of both. The system must run without faults and have no backlog.
 */
export async function findIdle(system: System, clients: Clients): Promise<string[]> {
  const { services, apiUrls, broker, countRows } = system
  const idle: string[] = []
  const expect = async (what: string, attempt: () => Promise<void>) => {
    await eventually(attempt, PATIENT).catch((error: Error) => idle.push(`${what}: ${error.message}`))
  }
  const expectPayment = async (what: string) => {
    await expect(what, () => clients.create(defined(apiUrls[0], 'API')))
    await expect(what, async () => {
      const { pending } = await countRows()
      if (pending > 0) throw new Error(`${pending} payments are PENDING`)
    })
  }

  for (const [index, url] of apiUrls.entries())
    await expect(`${services.api[index]?.name} takes payments`, () => clients.create(url))
  for (const relay of services.relay) {
    const others = services.relay.filter((other) => other !== relay)
    for (const other of others) other.freeze()
    await expectPayment(`${relay.name} publishes by itself`)
    for (const other of others) other.thaw()
  }
  for (const worker of services.worker) {
    // Stopped, not frozen: a frozen worker keeps its deliveries.
    const others = services.worker.filter((other) => other !== worker)
    await Promise.all(others.map((other) => other.stop()))
    await expectPayment(`${worker.name} settles by itself`)
    await Promise.all(others.map((other) => other.start()))
  }
  for (const webhooks of services.webhooks) {
    const others = services.webhooks.filter((other) => other !== webhooks)
    await Promise.all(others.map((other) => other.stop()))
    const what = `${webhooks.name} delivers by itself`
    await expectPayment(what)
    await expect(what, async () => {
      const { webhooks: left } = await countRows()
      if (left > 0) throw new Error(`${left} webhooks are not delivered`)
    })
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
