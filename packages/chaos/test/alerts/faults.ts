import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined, pause } from '@cashflow/async'
import { eventually, management, REPOSITORY, type Role } from '@cashflow/testing'
import type { Fault } from '../../src/fault.ts'
import { post } from '../../src/payment-api.ts'
import { WORK_QUEUE } from '../../src/queues.ts'
import type { Service } from '../../src/service.ts'
import type { System } from '../../src/system.ts'

/** Faults that need an operator, so that no schedule has them. */
type OperatorsFault = Pick<Fault, 'name' | 'run'>

export const NOTHING_ELSE: OperatorsFault = {
  name: 'its late payments',
  async run(_, { untilEnd }) {
    await untilEnd()
    return undefined
  },
}

export const WORKERS_KILLED = killed('all workers killed', 'worker', (workers) => workers, latePayments)

export const API_KILLED = killed('one api killed', 'api', (apis) => apis.slice(0, 1))

function killed(
  name: string,
  role: Role,
  choose: (services: readonly Service[]) => readonly Service[],
  effect: (system: System) => Promise<void> = async () => {},
): OperatorsFault {
  return {
    name,
    async run(system, { untilEnd }) {
      const victims = choose(system.services[role])
      await Promise.all(victims.map((victim) => victim.kill()))
      await Promise.all([untilEnd(), effect(system)])
      await Promise.all(victims.map((victim) => victim.start()))
      // The alert ends 15 minutes after the last heartbeat, by the clock of PostgreSQL.
      await system.query(`
        update instances set seen_at = seen_at - interval '15 minutes'
        where role = '${role}' and seen_at < now() - interval '30 seconds'`)
      return undefined
    },
  }
}

/** Waits until payments are late. They are after 60 seconds. */
async function latePayments({ query }: System): Promise<void> {
  await eventually(
    async () => {
      const late = await query(`
        select from payments where status = 'PENDING' and created_at < now() - interval '62 seconds' limit 10`)
      if (late.length < 10) throw new Error(`${late.length} payments are late`)
    },
    { timeoutMs: 120_000, intervalMs: 250 },
  )
}

export const RELAYS_FROZEN: OperatorsFault = {
  name: 'all relays frozen',
  async run({ services }, { untilEnd }) {
    for (const relay of services.relay) relay.freeze()
    await untilEnd()
    for (const relay of services.relay) relay.thaw()
    return undefined
  },
}

/** A message that cannot be read goes to the dead letters. An operator discards it. */
export const POISON: OperatorsFault = {
  name: 'poison message',
  async run(system, { untilEnd }) {
    await askBroker(system, 'POST', '/exchanges/%2F/amq.default/publish', {
      properties: {},
      routing_key: WORK_QUEUE,
      payload: 'nonsense',
      payload_encoding: 'string',
    })
    await untilEnd()
    for (const { id, source } of await deadLetters(system))
      if (source === 'queue') await operate(system, 'dead', 'discard', id, '--reason', 'nonsense')
    return undefined
  },
}

/** The provider refuses a payment three times. An operator settles it. */
export const REFUSED_PAYMENT: OperatorsFault = {
  name: 'payment refused by the provider',
  async run(system, { untilEnd }) {
    const { apiUrls, merchants, provider } = system
    const [merchant] = merchants.all
    const { id: merchantId, key } = defined(merchant, 'merchant')
    const request = { merchantId, reference: 'refused', amountMinor: 100, currency: 'USD' }
    const unused = { answers: [], views: [], foreignViews: [], cancels: [], histories: [] }
    provider.refused.add(request.reference)
    const send = () => post(defined(apiUrls[0], 'API'), { ...request, ...unused }, key)
    const id = await eventually(async () => defined((await send()).paymentId, 'payment'))
    await untilEnd()
    await operate(system, 'settle', id, '--failed', '--reason', 'refused, says the bank')
    return undefined
  },
}

export const FULL_TOPIC = 'payment.succeeded'
const FULL_QUEUE_NAME = 'ledger'
const MESSAGES_FIRST = 1_000
const MESSAGES_MORE = 10
const MORE_EVERY_MS = 500

/** The queue of another service takes no messages of a topic, and producers append more all the time. */
export const FULL_QUEUE: OperatorsFault = {
  name: 'queue of another service full',
  async run(system, { untilEnd }) {
    const queue = `/queues/%2F/${FULL_QUEUE_NAME}`
    const limit = { 'x-queue-type': 'quorum', 'x-max-length': 1, 'x-overflow': 'reject-publish' }
    await askBroker(system, 'PUT', queue, { durable: true, arguments: limit })
    await askBroker(system, 'POST', `/bindings/%2F/e/payments/q/${FULL_QUEUE_NAME}`, { routing_key: FULL_TOPIC })
    const ended = new AbortController()
    const growing = grow(system, ended.signal)
    await untilEnd().finally(() => ended.abort())
    await growing
    await askBroker(system, 'DELETE', queue)
    return undefined
  },
}

async function grow({ query }: System, signal: AbortSignal): Promise<void> {
  for (let count = MESSAGES_FIRST; !signal.aborted; count = MESSAGES_MORE) {
    await query(`
      insert into outbox_messages (lane, message_id, key, topic, payload, mandatory)
      select n % 32, gen_random_uuid(), n::text, '${FULL_TOPIC}', '{"payment_id": "none"}', false
      from generate_series(1, ${count}) n where pg_current_xact_id() is not null`)
    await pause(MORE_EVERY_MS, signal)
  }
}

async function deadLetters(system: System): Promise<{ id: string; source: string }[]> {
  const lines = (await operate(system, 'dead', 'list', '--json')).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line))
}

/** Runs an operator's command, as the runbooks have it. */
async function operate({ postgres }: System, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(REPOSITORY, 'packages/cli/src/main.ts'), ...args],
    { env: { PATH: process.env.PATH, DATABASE_URL: postgres.url, SANDBOX: 'yes' } },
  )
  return stdout
}

function askBroker({ broker }: System, method: string, path: string, body?: unknown): Promise<unknown> {
  return management(defined(broker.nodes[0], 'node').managementUrl).request(method, path, body)
}
