import { type Kysely, sql } from 'kysely'
import type { Tables } from '../../src/index.ts'

/** The newest migration of the version that knew neither keys of merchants nor idempotency keys. */
export const BEFORE = '0009_drop_former_indexes'
/** The name of its sessions. */
export const API_BEFORE = 'cashflow-api (schema 0008)'
export const PAYMENTS = 20_000
/** The column of that version that this one drops. */
const DROPPED = 'request_hash'

/**
 * Stores rows of every kind that the tables of that version could hold: payments of each status, claimed and parked ones,
 * keys, metadata and hashes. Three merchants have the same references. 2,000 references are pruned.
 */
export async function fill(db: Kysely<Tables>): Promise<void> {
  for (const statement of [MERCHANTS, PRUNED, ...STORED, ...MESSAGES]) await sql.raw(statement).execute(db)
}

const MERCHANTS = `insert into merchants (id, name, created_at) values
  ('01980000-0000-7000-8000-00000000000a', 'Second', '2026-01-02 03:04:05.678901Z'),
  ('01980000-0000-7000-8000-00000000000b', 'Drĭtte, "quoted"', '2026-01-03Z')`

/** Payments by their number. Three of them have the same reference, each of another merchant. */
const payments = (from: number, to: number) => `
  select n, n / 3 as m, n % 5 as kind,
    ('01980000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid as id,
    (array['00000000-0000-7000-8000-000000000001', '01980000-0000-7000-8000-00000000000a',
      '01980000-0000-7000-8000-00000000000b']::uuid[])[n % 3 + 1] as merchant_id,
    '2026-02-01Z'::timestamptz + n * interval '1.234567 seconds' as at
  from generate_series(${from}, ${to}) n`

const REFERENCE = `case m % 4 when 0 then 'REF-' || m when 1 then 'ref ä ' || m || ' 🧾' when 2 then repeat('x', 240) || m else m::text end`
const KEY = `case when m % 2 = 0 then 'key-' || m end`

const PRUNED = `insert into pruned_references
    (merchant_id, reference, idempotency_key, id, amount_minor, currency, pruned_at)
  select merchant_id, ${REFERENCE}, null, id, n, 'USD', at from (${payments(PAYMENTS + 1, PAYMENTS + 2_000)}) p`

const STORED = [
  `insert into payments (id, merchant_id, reference, amount_minor, currency, status, failure_code, metadata,
      idempotency_key, ${DROPPED}, attempts, claim_token, lease_until, redrive_at, parked_at, created_at, settled_at,
      redrives, refusals, provider_pending_since)
    select id, merchant_id, ${REFERENCE}, n, (array['USD', 'ETB'])[n % 2 + 1],
      (array['PENDING', 'PENDING', 'SUCCESS', 'FAILED', 'PENDING'])[kind + 1],
      case kind when 3 then 'card_declined' end,
      case when m % 6 = 0 then jsonb_build_object('order', m::text, 'ä', '') end,
      ${KEY},
      case when m % 2 = 0 then sha256(m::text::bytea) end,
      n % 11,
      case when kind in (1, 2, 3) then gen_random_uuid() end,
      case kind when 1 then at + interval '20 seconds' end,
      case when kind < 2 then at + interval '1 minute' end,
      case kind when 4 then at + interval '1 hour' end,
      at,
      case when kind in (2, 3) then at + interval '2 seconds' end,
      n % 4, n % 3, case when kind = 1 then at end
    from (${payments(1, PAYMENTS)}) p`,
  `insert into payment_events (payment_id, merchant_id, sequence, type, data, actor, request_id, created_at)
    select id, merchant_id, sequence,
      (array['payment.created', case kind when 2 then 'payment.succeeded' else 'payment.failed' end])[sequence],
      case sequence when 1 then jsonb_build_object('reference', ${REFERENCE}, 'amount', n::text) else '{}' end,
      (array['api', 'worker', 'operator'])[sequence + (n % 10 = 0 and sequence = 2)::int],
      case when n % 7 > 0 then 'r-' || n end, at + sequence * interval '1 second'
    from (${payments(1, PAYMENTS)}) p, generate_series(1, 2) sequence where sequence = 1 or kind in (2, 3)`,
]

const MESSAGE = `n % 32, gen_random_uuid(), id::text, 'payment.created', jsonb_build_object('payment_id', id),
  jsonb_build_object('x-request-id', 'r-' || n), n % 2 = 0, n % 3, at`
const MESSAGE_COLUMNS = 'lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at'

const MESSAGES = [
  `insert into outbox_messages (${MESSAGE_COLUMNS}) select ${MESSAGE} from (${payments(1, PAYMENTS)}) p where kind = 0`,
  `insert into outbox_scheduled (${MESSAGE_COLUMNS}, due_at, refused)
    select ${MESSAGE}, at + interval '1 minute', n % 10 = 1 from (${payments(1, PAYMENTS)}) p where kind = 1`,
  `insert into dead_letters (${MESSAGE_COLUMNS}, source, reason, died_at, resolved_at, resolution)
    select ${MESSAGE}, (array['worker', 'outbox', 'queue'])[n % 3 + 1], 'no attempt is left', at,
      case when kind = 3 then at end, case when kind = 3 then 'discarded: sent twice' end
    from (${payments(1, PAYMENTS)}) p where kind in (3, 4)`,
]

/** Columns of each table, with a digest of all its rows that does not depend on their order. */
export async function digestOf(db: Kysely<Tables>, tables: Record<string, string[]>): Promise<Record<string, string>> {
  const digests: Record<string, string> = {}
  for (const [table, columns] of Object.entries(tables)) {
    const { rows } = await sql<{ digest: string }>`
      select count(*) || ' rows, ' || md5(coalesce(string_agg(row, '' order by row), '')) as digest
      from (select md5(row(${sql.join(columns.map((column) => sql.ref(column)))})::text) as row from ${sql.table(table)}) r`.execute(
      db,
    )
    digests[table] = rows[0]?.digest ?? ''
  }
  return digests
}

/** The columns of each table of that version which this one keeps. The record of migrations grows, so it is left out. */
export async function keptColumns(db: Kysely<Tables>): Promise<Record<string, string[]>> {
  const { rows } = await sql<{ table: string; columns: string[] }>`
    select table_name as table, array_agg(column_name::text order by ordinal_position) as columns
    from information_schema.columns
    where table_schema = 'public' and table_name <> 'cashflow_migration' and column_name <> ${DROPPED}
    group by table_name`.execute(db)
  return Object.fromEntries(rows.map(({ table, columns }) => [table, columns]))
}

interface NewPayment {
  readonly id: string
  readonly merchant_id: string
  readonly reference: string
}

/** What the api of that version sent to PostgreSQL, word for word, so that its sessions have prepared it. */
export const apiBefore = (db: Kysely<Tables>) => ({
  async insert(payment: NewPayment): Promise<unknown[]> {
    const row = { ...payment, amount_minor: '100', currency: 'USD', status: 'PENDING', created_at: new Date() }
    const event = { sequence: 1, type: 'payment.created', data: {}, actor: 'api', occurred_at: new Date() }
    const message = { lane: 0, message_id: payment.id, key: payment.id, topic: 'payment.created', headers: {} }
    const { rows } =
      await sql`with "given" as materialized (select * from jsonb_to_recordset(${JSON.stringify([{ ...row, ...event }])}::jsonb) as given (id uuid, merchant_id uuid, reference text, amount_minor bigint, currency text, status text, created_at timestamptz, sequence int, type text, data jsonb, actor text, request_id text, occurred_at timestamptz)), "inserted" as (insert into "payments" ("id", "merchant_id", "reference", "amount_minor", "currency", "status", "created_at", "redrive_at") select "id", "merchant_id", "reference", "amount_minor", "currency", "status", "created_at", clock_timestamp() + ${60_000} * interval '1 millisecond' as "redrive_at" from "given" where not exists (select 1 as "one" from "pruned_references" as "r" where "r"."merchant_id" = "given"."merchant_id" and "r"."reference" = given.reference collate "C" offset 0) order by "merchant_id", "reference" collate "C" on conflict do nothing returning "id"), "recorded" as (insert into "payment_events" ("payment_id", "merchant_id", "sequence", "type", "data", "actor", "request_id", "created_at") select "id", "merchant_id", "sequence", "type", "data", "actor", "request_id", "occurred_at" from "given" as "event" where ("id" in (select "id" from "inserted")) is true), "appended" as (insert into "outbox_messages" ("lane", "message_id", "key", "topic", "headers", "mandatory", "payload") select "lane", "message_id", "key", "topic", "headers", "mandatory", coalesce("payload", 'null') as "payload" from jsonb_to_recordset(${JSON.stringify([{ ...message, mandatory: true }])}::jsonb) as message (lane smallint, message_id uuid, key text, topic text, payload jsonb, headers jsonb, mandatory boolean) where pg_current_xact_id() is not null and ("key" in (select cast("id" as text) as "id" from "inserted")) is true) select "id" from "inserted"`.execute(
        db,
      )
    return rows
  },
  async holder(payment: NewPayment): Promise<unknown[]> {
    const { rows } =
      await sql`with "logged" as materialized (select pg_logical_emit_message(true, 'cashflow', '') as "mark") select "given"."id" as "given_id", "held"."id", "held"."amount_minor", "held"."currency" from "logged", jsonb_to_recordset(${JSON.stringify([payment])}::jsonb) as given (id uuid, merchant_id uuid, reference text) cross join lateral (select "p"."id", "p"."amount_minor", "p"."currency" from "payments" as "p" where "p"."merchant_id" = "given"."merchant_id" and "p"."reference" = given.reference collate "C" union all select "r"."id", "r"."amount_minor", "r"."currency" from "pruned_references" as "r" where "r"."merchant_id" = "given"."merchant_id" and "r"."reference" = given.reference collate "C" limit 1) as "held"`.execute(
        db,
      )
    return rows
  },
  async find(id: string): Promise<unknown[]> {
    return (await sql`select * from "payments" where "id" = ${id}`.execute(db)).rows
  },
})
