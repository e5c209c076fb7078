import { pause } from '@cashflow/async'

/** The replacements of broken builds. Each function receives an export of the product and returns one with a mistake. */

type Publish = (messages: readonly object[], options: object) => Promise<object[]>
type CreatePublisher = (options: object) => { publish: Publish }
type Act = (...given: unknown[]) => Promise<unknown>
interface Settlement {
  readonly payment: { readonly id: string }
  readonly token: string
}
type CreateBatches = (options: { db: Database }) => {
  settlements: { commit(settlement: Settlement, ...rest: unknown[]): Promise<unknown> }
}

/** The part of Kysely that replacements use. */
interface Query {
  select(columns: string[]): Query
  selectAll(): Query
  set(values: object): Query
  where(column: string, operator: string, value: unknown): Query
  orderBy(column: string): Query
  execute(): Promise<Row[]>
}
interface Row {
  readonly id: string
  readonly claim_token: string | null
  readonly merchant_id: string
  readonly xid: string
  readonly payment_id: string
  readonly request_id: string
  readonly created_at: Date
}
interface Database {
  selectFrom(table: string): Query
  updateTable(table: string): Query
  transaction(): { execute(work: (tx: Database) => Promise<unknown>): Promise<unknown> }
}

export function withoutAwait(processPayment: Act): Act {
  return async (...given) => {
    void processPayment(...given)
    return 'settled'
  }
}

export function confirmingAtOnce(createPublisher: CreatePublisher): CreatePublisher {
  return changePublish(createPublisher, (publish) => async (messages, options) => {
    void publish(messages, options)
    return messages.map(() => ({ status: 'confirmed' }))
  })
}

export function withoutMandatory(createPublisher: CreatePublisher): CreatePublisher {
  return changePublish(createPublisher, (publish) => (messages, options) => {
    const changed = messages.map((message) => ({ ...message, mandatory: false }))
    return publish(changed, options)
  })
}

/** Gives each settlement the token of the present claim, so that the fence never rejects one. */
export function withoutFence(createBatches: CreateBatches): CreateBatches {
  return (options) => {
    const batches = createBatches(options)
    const { commit } = batches.settlements
    batches.settlements.commit = async (settlement, ...rest) => {
      const payments = options.db.selectFrom('payments').select(['id', 'claim_token'])
      const [row] = await payments.where('id', '=', settlement.payment.id).execute()
      return await commit({ ...settlement, token: row?.claim_token ?? settlement.token }, ...rest)
    }
    return batches
  }
}

export function neverStarted(create: (options: object) => object): typeof create {
  return (options) => ({ ...create(options), async start() {}, async stop() {} })
}

export function neverForgotten(): () => object {
  return () => ({ isForgotten: async () => false })
}

type FindPayment = (db: Database, wanted: { merchantId: string; id: string }) => Promise<unknown>

export function ofAnyMerchant(findPayment: FindPayment): FindPayment {
  return async (db, { id, merchantId }) => {
    const [row] = await db.selectFrom('payments').select(['merchant_id']).where('id', '=', id).execute()
    return await findPayment(db, { id, merchantId: row?.merchant_id ?? merchantId })
  }
}

export function withoutKeys(insertPayments: (tx: unknown, payments: object[], ...rest: unknown[]) => unknown) {
  return (tx: unknown, payments: object[], ...rest: unknown[]) =>
    insertPayments(
      tx,
      payments.map((payment) => ({ ...payment, idempotencyKey: undefined })),
      ...rest,
    )
}

/** Gives a replay the time of its own request. */
export function createdNow(findHolders: (...given: unknown[]) => Promise<{ has: string }[]>) {
  return async (...given: unknown[]) => {
    const holders = await findHolders(...given)
    return holders.map((holder) => (holder.has === 'key' ? { ...holder, createdAt: new Date() } : holder))
  }
}

type ListPayments = (...given: unknown[]) => Promise<{ payment: { createdAt: Date } }[]>

export function withoutNewest(listPayments: ListPayments): ListPayments {
  return async (...given) =>
    (await listPayments(...given)).filter(({ payment }) => payment.createdAt.getTime() < Date.now() - 2_000)
}

interface FeedRequest {
  merchantId: string
  after?: { xid: string; id: string }
  limit: number
}

export function ofAllCommitted() {
  return async (db: Database, { merchantId, after = { xid: '0', id: '0' }, limit }: FeedRequest) => {
    const events = db.selectFrom('payment_events').selectAll().where('merchant_id', '=', merchantId)
    const found = await events.where('xid', '>=', after.xid).orderBy('xid').orderBy('id').execute()
    const rows = found.filter(({ xid, id }) => xid !== after.xid || BigInt(id) > BigInt(after.id)).slice(0, limit)
    const { xid, id } = rows.at(-1) ?? after
    return {
      events: rows.map(({ payment_id: paymentId, request_id: requestId, created_at: createdAt, ...row }) => ({
        ...row,
        ...{ paymentId, requestId, createdAt, payment: null },
      })),
      next: { epoch: '', xid, id, createdAtMs: 0 },
      hasMore: rows.length === limit,
      delayedMs: 0,
    }
  }
}

type CancelPayment = (db: Pick<Database, 'transaction'>, wanted: { id: string }) => Promise<unknown>

/** The transaction stays open for a while after it got its xid, as if it asked another server. */
export function withoutClaim(cancelPayment: CancelPayment): CancelPayment {
  return (db, wanted) =>
    db.transaction().execute(async (tx) => {
      const payments = tx.updateTable('payments').set({ claim_token: null })
      await payments.where('id', '=', wanted.id).where('status', '=', 'PENDING').execute()
      await pause(1_000)
      return await cancelPayment({ transaction: () => ({ execute: (work) => work(tx) }) }, wanted)
    })
}

export function always(): () => boolean {
  return () => true
}

function changePublish(createPublisher: CreatePublisher, change: (publish: Publish) => Publish): CreatePublisher {
  return (options) => {
    const publisher = createPublisher(options)
    // Assigned and not spread: a copy would freeze the publisher's getters.
    publisher.publish = change(publisher.publish)
    return publisher
  }
}
