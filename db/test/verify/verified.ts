import { OPERATOR } from '@cashflow/testing'
import type { CompiledQuery } from 'kysely'
import { type Finding, type Head, settleByHand, type VerifyOptions, verify } from '../../src/operator.ts'
import type { TestStore } from '../test-store.ts'

type Options = Partial<Omit<VerifyOptions, 'report'>>

/** Payments to verify. All changes by hand go past the code. */
export function verifiedPayments(store: () => TestStore) {
  const change = (text: string, ...values: unknown[]) =>
    store().db.executeQuery({ sql: text, parameters: values, query: { kind: 'RawNode' } } as unknown as CompiledQuery)

  async function verified(options: Options = {}) {
    const findings: Finding[] = []
    const counts = await verify(store().db, { ...options, report: async (finding) => void findings.push(finding) })
    return { counts, findings, what: findings.map(({ what }) => what) }
  }

  return {
    change,
    /** Deletes a payment with its events, past the trigger that keeps payments. */
    forceDelete: (id: string) =>
      change(`do $$ begin
        set local session_replication_role = replica;
        delete from payments where id = '${id}';
        delete from payment_events where payment_id = '${id}';
      end $$`),
    /** Stores the reference of a payment as pruned. */
    keepReference: (id: string) =>
      change(
        `insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
          select merchant_id, reference, id, amount_minor, currency from payments where id = $1`,
        id,
      ),
    /** Verifies all payments, or one. */
    verified,
    /** A settled payment with hashes, whose message a relay has published. */
    async settled(outcome: 'approved' | 'declined' = 'approved'): Promise<string> {
      const { id } = await store().insert()
      const declined = { outcome: 'declined', failureCode: 'card_declined' } as const
      await settleByHand(store().db, {
        paymentId: id,
        outcome: outcome === 'approved' ? { outcome } : declined,
        reason: 'a test',
        by: OPERATOR,
      })
      await change('delete from outbox_messages')
      await verified({ sealsAs: OPERATOR })
      return id
    },
    /** The heads of all payments. */
    async heads(): Promise<Head[]> {
      const found: Head[] = []
      await verified({ onHead: (head) => void found.push(head) })
      return found
    },
  }
}

/** Heads as an export returns them. */
export async function* eachOf(heads: readonly Head[]): AsyncGenerator<Head> {
  yield* heads
}
