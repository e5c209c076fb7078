import type { QueryExecutorProvider } from 'kysely'
import type * as db from '../src/index.ts'

/** A session, a pool or a transaction, by itself or as the option `db`. */
type Connection = QueryExecutorProvider | { readonly db: QueryExecutorProvider }

/** True for what belongs to a merchant, and for lists of it. */
type IsOfMerchant<Given> = Given extends readonly (infer Item)[]
  ? IsOfMerchant<Item>
  : Given extends { readonly merchantId: string } | { readonly payment: { readonly merchantId: string } }
    ? true
    : false

type NamesWithoutMerchant<Module> = {
  [Name in keyof Module]: Module[Name] extends (...given: infer Given extends readonly unknown[]) => unknown
    ? [Given[0]] extends [Connection]
      ? [IsOfMerchant<Given[1]>] extends [true]
        ? never
        : Name
      : never
    : never
}[keyof Module]

/**
 * The functions of `@cashflow/db` that use the database for no merchant, each with the reason. The api can import every one
 * of them: what goes by a payment's id alone belongs into src/worker.ts or src/operator.ts. This does not compile with a
 * function that is missing here, nor with a name that is no such function.
 */
export const WITHOUT_MERCHANT = {
  findKeys: 'A key tells which merchant sends a request.',
  touchKeys: 'Authentication has accepted these keys.',
  readCursorSecret: 'The deployment has one secret. A cursor signs its merchant with it.',
  reportUse: 'A rate limit is of a key or an address.',
  deleteIdleRateLimits: 'A rate limit is of a key or an address.',
  findFeedHolder: 'It names a transaction of the server for the log.',
  createSettledNotifier: 'It sends ids that the caller has. Waiting requests then look up their own payments.',
  ensureSchema: 'It reads which migrations are applied.',
  databaseComponent: 'It checks the database when a service starts.',
  waitForStandby: 'It reads no row.',
  onlyStatement: 'It executes nothing.',
  createFacts: 'It counts the rows of all merchants, and shows none of them.',
  createHeartbeat: 'It writes the row of the process.',
  createPauseWatch: 'A pause is of all relays or of all workers.',
  withBeats: 'It executes nothing.',
} satisfies Record<NamesWithoutMerchant<typeof db>, string>
