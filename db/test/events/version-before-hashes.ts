import { defined } from '@cashflow/async'
import type { Payment, PaymentEvent } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import type { PaymentInsert, Tables } from '../../src/index.ts'

interface Settling {
  readonly payment: Payment
  readonly event: PaymentEvent
  readonly token: string
}

/** What the api and the worker of the version without hashes sent to PostgreSQL, word for word. */
export const versionBefore = (db: Kysely<Tables>) => ({
  async insert({ payment, event }: PaymentInsert): Promise<void> {
    const { id, merchantId: merchant_id, reference, amountMinor, currency, status, createdAt } = payment
    const row = { id, merchant_id, reference, amount_minor: `${amountMinor}`, currency, status, created_at: createdAt }
    const given = { ...row, ...eventOf(event), actor: 'api', request_id: 'r-1' }
    await sql`with "given" as materialized (select * from jsonb_to_recordset(${JSON.stringify([given])}::jsonb) as given (id uuid, merchant_id uuid, reference text, amount_minor bigint, currency text, status text, created_at timestamptz, metadata jsonb, idempotency_key text, sequence int, type text, data jsonb, actor text, request_id text, occurred_at timestamptz)), "inserted" as (insert into "payments" ("id", "merchant_id", "reference", "amount_minor", "currency", "status", "created_at", "metadata", "idempotency_key", "redrive_at") select "id", "merchant_id", "reference", "amount_minor", "currency", "status", "created_at", "metadata", "idempotency_key", clock_timestamp() + ${60_000} * interval '1 millisecond' as "redrive_at" from "given" where not (exists (select 1 as "one" from "pruned_references" as "r" where "r"."merchant_id" = "given"."merchant_id" and "r"."reference" = given."reference" collate "C" offset 0) or ("given"."idempotency_key" is not null and exists (select 1 as "one" from "pruned_references" as "r" where "r"."merchant_id" = "given"."merchant_id" and "r"."idempotency_key" = given."idempotency_key" collate "C" offset 0))) order by "merchant_id", "reference" collate "C" on conflict do nothing returning "id"), "recorded" as (insert into "payment_events" ("payment_id", "merchant_id", "sequence", "type", "data", "actor", "request_id", "created_at") select "id", "merchant_id", "sequence", "type", "data", "actor", "request_id", "occurred_at" from "given" as "event" where ("id" in (select "id" from "inserted")) is true), "appended" as (insert into "outbox_messages" ("lane", "message_id", "key", "topic", "headers", "mandatory", "payload") select "lane", "message_id", "key", "topic", "headers", "mandatory", coalesce("payload", 'null') as "payload" from jsonb_to_recordset(${'[]'}::jsonb) as message (lane smallint, message_id uuid, key text, topic text, payload jsonb, headers jsonb, mandatory boolean) where pg_current_xact_id() is not null and ("key" in (select cast("id" as text) as "id" from "inserted")) is true) select "id" from "inserted"`.execute(
      db,
    )
  },
  async claim(id: string, token: string): Promise<string> {
    const asked = { place: 0, id, token }
    const { rows } = await sql<{
      verdict: string
    }>`with "locked" as materialized (select "p".*, "asked"."place", "asked"."token" from (select * from jsonb_to_recordset(${JSON.stringify([asked])}::jsonb) as asked (place int, id uuid, token uuid) order by "id") as "asked" cross join lateral (select "id", "merchant_id", "reference", "amount_minor", "currency", "status", "failure_code", "created_at", "settled_at", "attempts", "claim_token", "lease_until", "parked_at", "provider_pending_since", p.metadata ->> 'simulate' as "simulate" from "payments" as "p" where "p"."id" = "asked"."id" for update) as "p"), "counted" as (select *, attempts + coalesce((claim_token <> token and lease_until <= now())::int, 0) as "attempts_now", row_number() over (partition by id order by claim_token = token desc nulls last, place) as "turn" from "locked"), "judged" as (select *, case when status <> 'PENDING' then 'settled' when parked_at is not null then 'parked' when claim_token = token then 'claimed' when lease_until > now() or turn > 1 then 'leased' when attempts_now >= ${10} then 'exhausted' else 'claimed' end as "verdict" from "counted"), "claimed" as (update "payments" as "p" set "claim_token" = "j"."token", "attempts" = "j"."attempts_now", "lease_until" = greatest(p.lease_until, now() + ${20_000} * interval '1 millisecond'), "redrive_at" = case when p.redrive_at between now() + ${20_000} * interval '1 millisecond' and now() + ${80_000} * interval '1 millisecond' then p.redrive_at else clock_timestamp() + ${80_000} * interval '1 millisecond' end, "redrives" = 0 from "judged" as "j" where "p"."id" = "j"."id" and "j"."verdict" = 'claimed') select "id", "merchant_id", "reference", "amount_minor", "currency", "status", "failure_code", "created_at", "settled_at", "place", "verdict", "attempts_now", "provider_pending_since", "simulate", extract(epoch from lease_until - now())::float8 * 1000 as "lease_left_ms" from "judged"`.execute(
      db,
    )
    return defined(rows[0], 'claim').verdict
  },
  async settle({ payment, event, token }: Settling): Promise<boolean> {
    const { id, status: new_status, failureCode: failure_code, settledAt: settled_at } = payment
    const row = { place: 0, id, token, new_status, failure_code, settled_at, message_ids: [] }
    const given = { ...row, ...eventOf(event), actor: 'worker' }
    const { rows } = await sql<{
      is_settled: boolean
    }>`with "settling" as materialized (select * from (select * from jsonb_to_recordset(${JSON.stringify([given])}::jsonb) as given (place int, id uuid, token uuid, new_status text, failure_code text, settled_at timestamptz, message_ids uuid[], sequence int, type text, data jsonb, actor text, request_id text, occurred_at timestamptz) order by "id") as "given" cross join lateral (select "p"."merchant_id", "p"."status", "p"."claim_token" from "payments" as "p" where "p"."id" = "given"."id" for update) as "p"), "settled" as (update "payments" as "p" set "status" = "s"."new_status", "failure_code" = "s"."failure_code", "settled_at" = "s"."settled_at", "lease_until" = null, "redrive_at" = null from "settling" as "s" where "p"."id" = "s"."id" and "s"."claim_token" = "s"."token" and "s"."status" = 'PENDING' returning "s"."id", "s"."merchant_id", "s"."place", "s"."message_ids", "s"."sequence", "s"."type", "s"."data", "s"."actor", "s"."request_id", "s"."occurred_at"), "recorded" as (insert into "payment_events" ("payment_id", "merchant_id", "sequence", "type", "data", "actor", "request_id", "created_at") select "id", "merchant_id", "sequence", "type", "data", "actor", "request_id", "occurred_at" from "settled" as "event" where true), "appended" as (insert into "outbox_messages" ("lane", "message_id", "key", "topic", "headers", "mandatory", "payload") select "lane", "message_id", "key", "topic", "headers", "mandatory", coalesce("payload", 'null') as "payload" from jsonb_to_recordset(${'[]'}::jsonb) as message (lane smallint, message_id uuid, key text, topic text, payload jsonb, headers jsonb, mandatory boolean) where pg_current_xact_id() is not null and ("message_id" in (select unnest("message_ids") as "message_id" from "settled")) is true) select "place", "status", "claim_token" = "token" as "is_held", "place" in (select "place" from "settled") as "is_settled" from "settling"`.execute(
      db,
    )
    return defined(rows[0], 'settlement').is_settled
  },
})

function eventOf({ sequence, type, data, at }: PaymentEvent) {
  return { sequence, type, data, occurred_at: at }
}
