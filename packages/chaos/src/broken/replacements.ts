/** The replacements of broken builds. Each function receives an export of the product and returns one with a mistake. */

type Publish = (messages: readonly object[], options: object) => Promise<object[]>
type CreatePublisher = (options: object) => { publish: Publish }
type Act = (...given: unknown[]) => Promise<unknown>
interface Settlement {
  readonly payment: { readonly id: string }
  readonly token: string
}

/** The part of Kysely's transaction that `withoutFence` uses. */
interface Query {
  select(columns: string[]): Query
  where(column: string, operator: string, value: unknown): Query
  execute(): Promise<{ id: string; claim_token: string | null }[]>
}
interface Reader {
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

/** Gives each settlement the token of the present claim, so that the fence holds none back. */
export function withoutFence(settlePayments: Act): Act {
  return async (tx, settlements, ...rest) => {
    const given = settlements as readonly Settlement[]
    const ids = given.map(({ payment }) => payment.id)
    const payments = (tx as Reader).selectFrom('payments').select(['id', 'claim_token'])
    const rows = await payments.where('id', 'in', ids).execute()
    const tokens = new Map(rows.map((row) => [row.id, row.claim_token]))
    const unfenced = given.map((own) => ({ ...own, token: tokens.get(own.payment.id) ?? own.token }))
    return await settlePayments(tx, unfenced, ...rest)
  }
}

export function neverStarted(create: (options: object) => object): typeof create {
  return (options) => ({ ...create(options), async start() {}, async stop() {} })
}

export function neverForgotten(): () => object {
  return () => ({ isForgotten: async () => false })
}

function changePublish(createPublisher: CreatePublisher, change: (publish: Publish) => Publish): CreatePublisher {
  return (options) => {
    const publisher = createPublisher(options)
    // Assigned and not spread: a copy would freeze the publisher's getters.
    publisher.publish = change(publisher.publish)
    return publisher
  }
}
