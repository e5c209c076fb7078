import { randomUUID } from 'node:crypto'
import {
  createDatabase,
  createEndpoint,
  type Database,
  insertPayments,
  type Ordering,
  onlyStatement,
  type Tables,
} from '@cashflow/db'
import { createMerchant, settleByHand } from '@cashflow/db/operator'
import { DEFAULT_MERCHANT_ID, eventId, metadataOf, type Simulation } from '@cashflow/domain'
import type { Component } from '@cashflow/runtime'
import {
  aPayment,
  createTestDatabase,
  eventually,
  OPERATOR,
  query,
  recordingLogger,
  type TestDatabase,
} from '@cashflow/testing'
import { createSecretBox, createSender, newSecret, parseSealingKeys } from '@cashflow/webhook-sender'
import type { Kysely } from 'kysely'
import { createWebhooks, type Webhooks, type WebhooksOptions } from '../src/webhooks.ts'

export const SECRETS_KEY = 'a-key-for-tests-of-32-bytes-and-more'
export const SECRETS = createSecretBox(parseSealingKeys(SECRETS_KEY))

const DAY_MS = 86_400_000

export type Rig = Awaited<ReturnType<typeof startRig>>

type ProcessOptions = Partial<
  Pick<
    WebhooksOptions,
    'attemptsMax' | 'windowMax' | 'keptMs' | 'onAttempt' | 'sender' | 'secrets' | 'spans' | 'isSandbox'
  >
> & {
  deadlineMs?: number
  /** Of the database, as another role. */
  url?: string
}

export interface WebhooksProcess extends Webhooks {
  readonly log: ReturnType<typeof recordingLogger>
  stop(): Promise<void>
}

/** A database, and any number of processes that deliver its events. */
export async function startRig(given?: TestDatabase) {
  const database = given ?? (await createTestDatabase())
  const db = open(database.url)
  const running = new Set<WebhooksProcess>()

  return {
    database,
    db,
    secrets: SECRETS,
    /** Starts what one process runs. */
    async start(options: ProcessOptions = {}): Promise<WebhooksProcess> {
      const { deadlineMs, url = database.url, ...others } = options
      const own = open(url)
      const log = recordingLogger()
      const policy = { allowPrivate: true }
      const webhooks = createWebhooks({
        db: own,
        sender: createSender({ policy, ...(deadlineMs !== undefined && { deadlineMs }) }),
        secrets: SECRETS,
        attemptsMax: 64,
        windowMax: 8,
        keptMs: 30 * DAY_MS,
        isSandbox: false,
        logger: log.logger,
        ...others,
      })
      const stopped: Component[] = [...webhooks.components]
      for (const component of webhooks.components) await component.start(new AbortController().signal)
      const process: WebhooksProcess = {
        components: webhooks.components,
        get inFlight() {
          return webhooks.inFlight
        },
        wake: webhooks.wake,
        log,
        async stop() {
          running.delete(process)
          for (const component of stopped.splice(0).reverse()) await component.stop()
          await own.destroy()
        },
      }
      running.add(process)
      return process
    },
    /** Looks for new events in all processes, as a notification does. */
    wake() {
      for (const process of running) process.wake()
    },
    /** Creates a merchant. Returns its id. */
    async merchant(): Promise<string> {
      const done = await createMerchant(db, { name: randomUUID(), by: OPERATOR })
      if (!done.done) throw new Error(done.why)
      return done.merchant.id
    },
    endpoint: (url: string, options: EndpointOptions = {}) => addEndpoint(db, url, options),
    /** Stores a payment. Returns its id. */
    pay: (merchantId = DEFAULT_MERCHANT_ID, traceparent?: string) => pay(db, { merchantId }, traceparent),
    /** Stores a payment with `metadata.simulate`. Returns its id. */
    simulate: (simulation: Simulation) => pay(db, { metadata: metadataOf([['simulate', simulation]]) }),
    /** Resolves when no older transaction hides the first event of a payment, also none of another test on this server. */
    shown: (paymentId: string) =>
      eventually(async () => {
        const rows = await query(
          database.url,
          'select from payment_events where payment_id = $1 and xid < pg_snapshot_xmin(pg_current_snapshot())',
          { values: [paymentId] },
        )
        if (rows.length === 0) throw new Error(`an older transaction hides the event of payment ${paymentId}`)
      }),
    /** Settles payments, each with an event. */
    async settle(...paymentIds: string[]) {
      for (const paymentId of paymentIds) {
        const done = await settleByHand(db, {
          paymentId,
          outcome: { outcome: 'approved' },
          reason: 'tested',
          by: OPERATOR,
        })
        if (!done.done) throw new Error(done.why)
      }
    },
    deliveries: () => db.selectFrom('webhook_deliveries').selectAll().orderBy('id').execute(),
    /** Resolves when no delivery is pending or waiting. */
    delivered: () =>
      eventually(async () => {
        const [row] = await db
          .selectFrom('webhook_deliveries')
          .select(({ fn }) => fn.countAll<string>().as('n'))
          .where('status', 'in', ['pending', 'waiting'])
          .execute()
        if (row?.n !== '0') throw new Error(`${row?.n} deliveries are not finished`)
      }),
    async stopProcesses() {
      for (const process of running) await process.stop()
    },
    async stop() {
      for (const process of running) await process.stop()
      await db.destroy()
      await database.drop()
    },
  }
}

const open = (url: string): Database =>
  createDatabase({ url, applicationName: 'webhooks-test', poolMax: 10, logger: recordingLogger().logger })

interface EndpointOptions {
  merchantId?: string
  types?: readonly string[] | null
  ordering?: Ordering
}

export interface TestEndpoint {
  readonly id: string
  readonly secret: string
}

async function addEndpoint(db: Kysely<Tables>, url: string, options: EndpointOptions): Promise<TestEndpoint> {
  const { merchantId = DEFAULT_MERCHANT_ID, types = null, ordering = 'payment' } = options
  const [id, secret] = [randomUUID(), newSecret()]
  const { sealed, keyId } = SECRETS.seal(secret, id)
  await createEndpoint(db, { id, merchantId, url, types, ordering, description: null, secret: { sealed, keyId } })
  return { id, secret }
}

async function pay(db: Kysely<Tables>, input: Parameters<typeof aPayment>[0], traceparent?: string): Promise<string> {
  const { payment, event } = aPayment(input)
  const row = { payment, event, requestId: 'request-1', traceparent, messages: [] }
  await db.transaction().execute((tx) => insertPayments(onlyStatement(tx), [row], { redriveAfterMs: 60_000 }))
  return payment.id
}

export const created = (paymentId: string) => eventId(paymentId, 1)
export const succeeded = (paymentId: string) => eventId(paymentId, 2)
