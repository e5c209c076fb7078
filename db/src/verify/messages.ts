import { OUTCOME_TOPICS, statusAfter, WORK_TOPICS } from '@cashflow/domain'
import { LANES } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import { BIGINT_MAX, type Page, type Span } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'
import { type Finding, shortened } from './finding.ts'

/** The tables that hold messages which are still to be published. */
export const MESSAGE_TABLES = ['outbox_messages', 'outbox_scheduled', 'dead_letters'] as const

export type MessageTable = (typeof MESSAGE_TABLES)[number]

/** A message about a payment, with the payment as it is in the same snapshot. */
interface MessageRow {
  /** A bigint, as text. */
  readonly id: string
  readonly lane: number
  readonly key: string
  readonly topic: string
  readonly payload: unknown
  /** Null if there is no such payment. */
  readonly payment_id: string | null
  readonly status: string | null
  readonly failure_code: string | null
}

export interface MessagePage extends Page {
  readonly messages: readonly MessageRow[]
}

/** The places of a lane's messages begin here, times the lane. */
const LANE = 2n ** 63n
const TOPICS: readonly string[] = [...WORK_TOPICS, ...OUTCOME_TOPICS]

/** The span of a table. The outbox is read lane by lane, as its primary key is ordered. */
export function spanOf(table: MessageTable): Span {
  return { after: -1n, to: table === 'outbox_messages' ? BigInt(LANES) * LANE - 1n : BIGINT_MAX }
}

/** Reads messages about payments that are still to be published, with their payments. One statement, so one snapshot. */
export async function readMessages(
  db: Kysely<Tables>,
  table: MessageTable,
  { after, to, limit }: Span & { limit: number },
): Promise<MessagePage> {
  const isByLane = table === 'outbox_messages'
  const [from, last] = [placeAt(after + 1n), placeAt(to)]
  // As `sql`: the builder has no row comparison, and its types know no table by a variable.
  const isInSpan = isByLane
    ? sql`(lane, id) >= (${from.lane}::smallint, ${from.id}::bigint) and (lane, id) <= (${last.lane}::smallint, ${last.id}::bigint)`
    : sql`id >= ${from.id}::bigint and id <= ${last.id}::bigint`
  const isOpen = table === 'dead_letters' ? sql`resolved_at is null and source = 'outbox'` : sql`true`
  const order = isByLane ? sql`lane, id` : sql`id`
  const { rows } = await sql<MessageRow>`
    with batch as materialized (
      select id, lane, key, topic, payload from ${sql.table(table)}
      where ${isInSpan} and ${isOpen} and topic = any(${TOPICS}::text[])
      order by ${order} limit ${limit}
    )
    select m.*, p.id as payment_id, p.status, p.failure_code
    from batch m left join payments p
      on p.id = case when m.key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then m.key::uuid end
    order by ${order}`.execute(db)
  const end = rows.at(-1)
  const isCut = end !== undefined && rows.length === limit
  return { upto: isCut ? (isByLane ? BigInt(end.lane) * LANE : 0n) + BigInt(end.id) : to, messages: rows }
}

function placeAt(place: bigint): { lane: number; id: string } {
  return { lane: Number(place / LANE), id: (place % LANE).toString() }
}

/** Compares a message with its payment. A message without a payment is left to the caller. */
export function checkMessage(message: MessageRow): Finding[] {
  const { topic, key, payment_id: paymentId, status, failure_code } = message
  const payload = (message.payload ?? {}) as Readonly<Record<string, unknown>>
  const findings: Finding[] = []
  const differ = (what: string, expected: string | null, found: unknown) => {
    const text = found === null || found === undefined ? null : String(found)
    if (expected !== text)
      findings.push({ paymentId, what: `${what} of a message ${topic}`, expected, found: shortened(text) })
  }
  if (paymentId === null) return findings
  differ('payment_id', key, payload.payment_id)
  if (!(OUTCOME_TOPICS as readonly string[]).includes(topic)) return findings
  differ('topic', status, statusAfter(topic))
  differ('status', status, payload.status)
  differ('failure_code', failure_code, payload.failure_code)
  return findings
}
