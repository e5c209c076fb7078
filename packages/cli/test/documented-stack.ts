import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { defined } from '@cashflow/async'
import { createDatabase, insertPayments } from '@cashflow/db'
import { createMerchant } from '@cashflow/db/operator'
import { parkPayment } from '@cashflow/db/worker'
import { DEFAULT_MERCHANT_ID, eventId, isUuid } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { aPayment, createTestDatabase, nullLogger, OPERATOR, startPipeline } from '@cashflow/testing'
import { newSecret } from '@cashflow/webhook-sender'
import { type RawBuilder, sql } from 'kysely'
import { type Ended, MAIN, runCashflow } from './run-cashflow.ts'
import { listen, tellOutcome, verifying } from './verifying-receiver.ts'
import { SECRETS_KEY, storeDelivered, storeEndpoint } from './webhook-store.ts'

export type DocumentedStack = Awaited<ReturnType<typeof startDocumentedStack>>

const REDRIVE_AFTER_MS = 3_600_000

/** Starts the services, and makes what the documented commands are about. */
export async function startDocumentedStack() {
  const database = await createTestDatabase()
  const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, {}, { database })
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
  const env = { DATABASE_URL: database.url, KEY_PEPPER: randomBytes(32).toString('base64'), SECRETS_KEY }
  const run = (args: readonly string[], cwd: string) =>
    args.includes('--watch') ? watch(args, env, cwd) : runCashflow(args, env, cwd)
  const receivers = new DisposableStack()
  const api = await defined(pipeline.processes.api[0], 'API').logged('listening')

  /** A PENDING payment, which no message brings to a worker. */
  async function createPayment(reference: string = randomUUID()): Promise<string> {
    const { payment, event } = aPayment({ reference })
    const insert = { payment, event, requestId: 'r-1', messages: [] }
    await db.transaction().execute((tx) => insertPayments(tx, [insert], { redriveAfterMs: REDRIVE_AFTER_MS }))
    return payment.id
  }
  async function bury(source: string, key: string): Promise<string> {
    const message = { messageId: randomUUID(), key, topic: 'payment.retry', payload: { payment_id: key } }
    await db.transaction().execute((tx) => buryMessage(tx, { ...message, source, reason: 'HTTP 503', attempts: 10 }))
    const letter = db.selectFrom('dead_letters').select('id').where('key', '=', key)
    return (await letter.executeTakeFirstOrThrow()).id
  }
  return {
    run,
    apiUrl: String(api.url),
    createPayment,
    change: (statement: RawBuilder<unknown>) => statement.execute(db),
    /** The id of the dead letter of a parked payment. */
    async createParked(): Promise<string> {
      const id = await createPayment()
      await db.transaction().execute((tx) => parkPayment(tx, id, 0))
      return await bury('worker', id)
    },
    /** The id of a dead letter that is about no payment. */
    createLetter: () => bury('broker', randomUUID()),
    async createMerchant(): Promise<string> {
      const made = await createMerchant(db, { name: randomUUID(), by: OPERATOR })
      if (!made.done) throw new Error(made.why)
      return made.merchant.id
    },
    /** An endpoint of a merchant of its own. */
    async createEndpoint(): Promise<string> {
      return (await storeEndpoint(db, { merchantId: await this.createMerchant() })).id
    },
    /** The id of an event that an endpoint has a delivery of. */
    async createDelivered(): Promise<string> {
      const merchantId = await this.createMerchant()
      await storeEndpoint(db, { merchantId })
      return eventId(await storeDelivered(db, merchantId), 1)
    },
    /** Starts a receiver of webhooks. Returns its URL. */
    async startReceiver(secret: string): Promise<string> {
      const highest = new Map<string, number>()
      const receiver = await listen(verifying(secret, (...answered) => tellOutcome(highest, ...answered)))
      receivers.defer(() => receiver.close())
      return receiver.url
    },
    async createKey(): Promise<string> {
      const merchant = ['--merchant', await this.createMerchant()]
      return JSON.parse((await run(['keys', 'create', ...merchant, '--json'], tmpdir())).stdout).id
    },
    async stop() {
      receivers.dispose()
      await db.destroy()
      await pipeline.stop()
    },
  }
}

/** Runs a command that does not end by itself, and ends it with Ctrl-C after its first output. */
async function watch(args: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { APP_ENV: 'production', SANDBOX: 'yes', ...env },
    cwd,
  })
  const ended = once(child, 'close')
  await Promise.race([once(child.stdout, 'data'), ended])
  child.kill('SIGINT')
  const [code] = await ended
  return { code: code as number, stdout: '', stderr: '' }
}

interface Known {
  /**
   * Returns the arguments, with what they are about in place of the page's example.
   *
   * @param run runs another command in the same folder
   * @param output what the page shows as its output
   */
  readonly prepare: (
    stack: DocumentedStack,
    args: readonly string[],
    run: (args: readonly string[]) => Promise<Ended>,
    output: string | undefined,
  ) => readonly string[] | Promise<readonly string[]>
  /** Undoes what other commands would find. Gets the arguments that `prepare` has returned. */
  readonly restore?: (stack: DocumentedStack, args: readonly string[]) => Promise<unknown>
  /** The exit codes that it may end with. Default: 0. */
  readonly exits?: readonly number[]
}

const asShown: Known = { prepare: (_, args) => args }

/** The argument at `index` becomes what `make` makes. */
const about = (index: number, make: (stack: DocumentedStack) => string | Promise<string>): Known => ({
  prepare: async (stack, args) => args.with(index, await make(stack)),
})

/** The id of a payment, if the page shows one, becomes that of a PENDING payment. */
const aboutPayment: Known = {
  async prepare(stack, args) {
    const index = args.findIndex(isUuid)
    return index < 0 ? args : args.with(index, await stack.createPayment())
  },
}

/** The id of an endpoint becomes that of a new one. */
const aboutEndpoint: Known = {
  async prepare(stack, args) {
    const index = args.findIndex(isUuid)
    return index < 0 ? args : args.with(index, await stack.createEndpoint())
  },
}

/** Ids become those of dead letters. The hash of a filter becomes the one that `--dry-run` prints. */
const aboutLetters = (make: (stack: DocumentedStack) => Promise<string>): Known => ({
  async prepare(stack, args, run) {
    const expected = args.indexOf('--expect') + 1
    if (expected === 0) return await Promise.all(args.map((arg) => (/^\d+$/.test(arg) ? make(stack) : arg)))
    const reason = args.indexOf('--reason')
    const filter = args.filter(
      (_, index) => ![expected - 1, expected, ...(reason < 0 ? [] : [reason, reason + 1])].includes(index),
    )
    return args.with(expected, JSON.parse((await run([...filter, '--dry-run', '--json'])).stdout).hash)
  },
})

/** Changes the amount of a payment by hand. */
const addCents = ([, id]: readonly string[], cents: number) =>
  sql`update payments set amount_minor = amount_minor + ${cents} where id = ${id}`

/** Exit codes of a command that reports what it finds: what it finds in a stack of tests is not the same each time. */
const FINDS = [0, 1]

/** The commands of `cashflow` that pages may show. */
export const KNOWN: Readonly<Record<string, Known>> = {
  status: { ...asShown, exits: FINDS },
  doctor: { ...asShown, exits: FINDS },
  events: aboutPayment,
  'audit list': asShown,
  'console token': asShown,
  'merchants create': about(2, () => randomUUID()),
  'merchants list': asShown,
  'keys create': {
    prepare: async (stack, args) => args.with(args.indexOf('--merchant') + 1, await stack.createMerchant()),
  },
  'keys list': asShown,
  'keys rotate': about(2, (stack) => stack.createKey()),
  'keys revoke': about(2, (stack) => stack.createKey()),
  'dead list': {
    async prepare(stack, args) {
      await stack.createParked()
      return args
    },
  },
  'dead show': aboutLetters((stack) => stack.createParked()),
  'dead requeue': aboutLetters((stack) => stack.createParked()),
  'dead discard': aboutLetters((stack) => stack.createLetter()),
  settle: aboutPayment,
  'payments settle': aboutPayment,
  'payments list': asShown,
  'payments show': {
    async prepare(stack, args, run) {
      const [, , name = ''] = args
      if (isUuid(name)) return await aboutPayment.prepare(stack, args, run, undefined)
      const id = await stack.createPayment(name)
      // It waits for its next attempt, as the page shows it.
      await stack.change(
        sql`update payments set attempts = 2, lease_until = now() + interval '1 hour' where id = ${id}`,
      )
      const merchant = args.indexOf('--merchant') + 1
      return merchant === 0 ? args : args.with(merchant, DEFAULT_MERCHANT_ID)
    },
  },
  redrive: aboutPayment,
  'webhooks list': asShown,
  'webhooks show': aboutEndpoint,
  'webhooks deliveries': aboutEndpoint,
  'webhooks disable': aboutEndpoint,
  'webhooks enable': {
    async prepare(stack, args, run, output) {
      const given = await aboutEndpoint.prepare(stack, args, run, output)
      await run(['webhooks', 'disable', defined(given[2], 'endpoint'), '--reason', 'to be enabled'])
      return given
    },
  },
  'webhooks redeliver': about(2, (stack) => stack.createDelivered()),
  'webhooks replay': aboutEndpoint,
  'webhooks rekey': asShown,
  'webhooks check': {
    // The page has the secret in the environment.
    async prepare(stack, args) {
      const secret = newSecret()
      return [...args.with(2, await stack.startReceiver(secret)), '--secret', secret]
    },
  },
  pause: asShown,
  resume: {
    async prepare(_, args, run) {
      await run(['pause', defined(args[1], 'component'), '--reason', 'to be resumed'])
      return args
    },
  },
  verify: {
    async prepare(stack, args, run, output) {
      const file = args.indexOf('--against') + 1
      if (file > 0) await run(['verify', '--export', defined(args[file], 'file')])
      const given = await aboutPayment.prepare(stack, args, run, output)
      if (output !== undefined) await stack.change(addCents(given, 1))
      return given
    },
    restore: ({ change }, args) => change(addCents(args, -1)),
  },
  conformance: about(1, ({ apiUrl }) => apiUrl),
}
