import { type Kysely, sql, type Transaction } from 'kysely'
import { laneOf, type NewMessage } from './message.ts'
import type { OutboxTables } from './tables.ts'

export interface DeadLetter extends NewMessage {
  /** Who gave up. */
  source: string
  reason: string
  attempts: number
}

/**
 * Leaves a message for an operator. One that waits already for the same source, topic and key says it all.
 *
 * @returns false when one waits already
 */
export async function buryMessage<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { messageId, key, topic, payload, headers = {}, mandatory = true, source, reason, attempts }: DeadLetter,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into dead_letters (lane, message_id, key, topic, payload, headers, mandatory, source, reason, attempts)
    values (${laneOf(key)}, ${messageId}, ${key}, ${topic}, ${JSON.stringify(payload)}, ${JSON.stringify(headers)},
      ${mandatory}, ${source}, ${reason}, ${attempts})
    on conflict do nothing`.execute(tx)
  if (numAffectedRows === 1n) return true
  // Whether a standby has the other one is not known. Anything in the log makes our COMMIT wait for it.
  await sql`select pg_logical_emit_message(true, 'outbox', '')`.execute(tx)
  return false
}

export interface StoredDeadLetter {
  /** A bigint, as text. */
  readonly id: string
  readonly source: string
  readonly topic: string
  readonly key: string
  readonly payload: unknown
  readonly attempts: number
  readonly reason: string
  readonly diedAt: Date
  readonly resolution: string | null
}

/** What waits for an operator, the oldest first. */
export async function listDeadLetters<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  { limit }: { limit: number },
): Promise<StoredDeadLetter[]> {
  const { rows } = await sql<StoredDeadLetter>`
    select ${STORED} from dead_letters where resolved_at is null order by id limit ${limit}`.execute(db)
  return rows
}

export async function findDeadLetter<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  id: string,
): Promise<StoredDeadLetter | undefined> {
  const { rows } = await sql<StoredDeadLetter>`select ${STORED} from dead_letters where id = ${id}`.execute(db)
  return rows[0]
}

/** @returns false when it is resolved already */
export async function resolveDeadLetter<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  id: string,
  resolution: string,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update dead_letters set resolved_at = now(), resolution = ${resolution}
    where id = ${id} and resolved_at is null`.execute(tx)
  return numAffectedRows === 1n
}

/** Resolves what a source has left about a key, under whatever topic. */
export async function resolveDeadLettersOf<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  { source, key }: { source: string; key: string },
  resolution: string,
): Promise<void> {
  await sql`
    update dead_letters set resolved_at = now(), resolution = ${resolution}
    where source = ${source} collate "C" and key = ${key} collate "C" and resolved_at is null`.execute(tx)
}

/** Puts the message of a dead letter into the outbox again, under its own id, and resolves the letter. */
export async function requeueDeadLetter<Tables extends OutboxTables>(
  tx: Transaction<Tables>,
  id: string,
  resolution: string,
): Promise<boolean> {
  // The update takes the transaction's xid, which has to be older than the message's place in its lane: see append.
  if (!(await resolveDeadLetter(tx, id, resolution))) return false
  await sql`
    insert into outbox_messages (lane, message_id, key, topic, payload, headers, mandatory)
    select lane, message_id, key, topic, payload, headers, mandatory from dead_letters where id = ${id}`.execute(tx)
  return true
}

const STORED = sql`id, source, topic, key, payload, attempts, reason, died_at as "diedAt", resolution`
