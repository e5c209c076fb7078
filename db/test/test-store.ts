import { randomUUID } from 'node:crypto'
import type { Money, Payment } from '@cashflow/domain'
import { aPayment, createTestDatabase, nullLogger, type TestDatabase } from '@cashflow/testing'
import type { Kysely } from 'kysely'
import {
  createDatabase,
  type Database,
  findHolders,
  type Holder,
  insertPayments,
  onlyStatement,
  type PaymentInsert,
  type Tables,
} from '../src/index.ts'
import { type Claim, type ClaimOptions, claimPayments, type SettlementWrite, settlePayments } from '../src/worker.ts'

export interface TestStore {
  db: Database
  database: TestDatabase
  /** Stores a new payment. Its reference is unique by default. */
  insert(reference?: string): Promise<Payment>
  drop(): Promise<void>
}

/** @param statementMs the limit of a statement, for tests that write more than the services do */
export async function createTestStore(poolMax = 20, given?: TestDatabase, statementMs = 5_000): Promise<TestStore> {
  const database = given ?? (await createTestDatabase())
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax, logger: nullLogger, statementMs })
  return {
    db,
    database,
    async insert(reference = randomUUID()) {
      const { payment, event } = newPayment(reference)
      await storePayments(db, [{ payment, event, requestId: 'r-1', messages: [] }], { redriveAfterMs: 60_000 })
      return payment
    },
    async drop() {
      await db.destroy()
      await database.drop()
    },
  }
}

export function newPayment(reference: string = randomUUID(), money: Money = { amountMinor: 10_050n, currency: 'USD' }) {
  return aPayment({ reference, money })
}

/** Stores payments as the api does: in one transaction, and then finds the holders of the keys and references that were taken. */
export async function storePayments(
  db: Kysely<Tables>,
  payments: readonly PaymentInsert[],
  options: Parameters<typeof insertPayments>[2],
): Promise<Holder[]> {
  const inserted = await db.transaction().execute((tx) => insertPayments(onlyStatement(tx), payments, options))
  return await findHolders(db, payments, inserted)
}

/** Settles payments as the worker does, in one transaction. */
export function storeSettlements(db: Kysely<Tables>, settlements: readonly SettlementWrite[], waits = true) {
  return db.transaction().execute((tx) => settlePayments(onlyStatement(tx), settlements, waits))
}

/** Claims one payment, in a batch of one. */
export async function claimPayment(
  db: Kysely<Tables>,
  id: string,
  { token, ...options }: ClaimOptions & { token: string },
): Promise<Claim> {
  const [claim] = await claimPayments(db, [{ id, token }], options)
  return claim as Claim
}
