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

/** The part of Kysely that `withoutFence` uses. */
interface Query {
  select(columns: string[]): Query
  where(column: string, operator: string, value: unknown): Query
  execute(): Promise<{ id: string; claim_token: string | null; merchant_id: string }[]>
}
interface Database {
  selectFrom(table: string): Query
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
