import type { Generated } from 'kysely'

export interface Tables {
  payments: {
    id: string
    reference: string
    amount: string
    currency: string
    status: Generated<'PENDING' | 'SUCCESS' | 'FAILED'>
    created_at: Generated<Date>
    updated_at: Generated<Date>
  }
  outbox: {
    id: Generated<string>
    topic: string
    payload: { payment_id: string }
    created_at: Generated<Date>
    published_at: Date | null
  }
}
