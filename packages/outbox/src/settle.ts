import { type Kysely, sql } from 'kysely'
import type { Action } from './decide.ts'
import type { ReadMessage } from './lanes.ts'
import type { OutboxTables } from './tables.ts'

const BLOCKED_MS = 300_000

export interface MessageDisposition {
  message: ReadMessage
  action: Action
}

/** Carries out what was decided, within the pass's transaction: its lanes' locks fence it. */
export async function settle<Tables extends OutboxTables>(
  tx: Kysely<Tables>,
  settlements: readonly MessageDisposition[],
): Promise<void> {
  const confirmed: ReadMessage[] = []
  const refused: { message: ReadMessage; delayMs: number }[] = []
  for (const { message, action } of settlements) {
    switch (action.action) {
      case 'delete':
        confirmed.push(message)
        break
      case 'leave':
        break
      case 'delay':
        await delay(tx, message, action.delayMs)
        break
      case 'move':
        refused.push({ message, delayMs: action.delayMs })
        break
      case 'bury':
        await bury(tx, message, action.reason)
        break
      default:
        action satisfies never
    }
  }
  if (confirmed.length > 0) await remove(tx, confirmed)
  if (refused.length > 0) await move(tx, refused)
}

async function remove<Tables extends OutboxTables>(tx: Kysely<Tables>, messages: readonly ReadMessage[]) {
  await deletion(messages).execute(tx)
}

function deletion(messages: readonly ReadMessage[]) {
  const lanes = messages.map(({ lane }) => lane)
  const ids = messages.map(({ id }) => id)
  // Lateral, with an offset, and not a join: a plan that was made for an empty table must find these rows by their keys
  // when there are a million others. Nobody else changes rows of a locked lane, so they stay where they were found.
  return sql`
    delete from outbox_messages where ctid = any(array(
      select found.ctid from unnest(${lanes}::smallint[], ${ids}::bigint[]) as done (lane, id)
      cross join lateral (
        select m.ctid from outbox_messages m where m.lane = done.lane and m.id = done.id offset 0
      ) found
    ))`
}

/** One statement for all of a pass: one for each would take longer than the pass has. */
async function move<Tables extends OutboxTables>(
  tx: Kysely<Tables>,
  refused: readonly { message: ReadMessage; delayMs: number }[],
) {
  const delays = new Map(refused.map(({ message, delayMs }) => [message.topic, delayMs]))
  await sql`
    with moved as (${deletion(refused.map(({ message }) => message))} returning *)
    insert into outbox_scheduled
      (lane, message_id, key, topic, payload, headers, mandatory, created_at, attempts, refused, due_at)
    select lane, message_id, key, topic, payload, headers, mandatory, created_at, attempts, true,
      clock_timestamp() + interval '1 millisecond'
        * (${[...delays.values()]}::float8[])[array_position(${[...delays.keys()]}::text[], topic)]
    from moved order by created_at, id`.execute(tx)
}

async function delay<Tables extends OutboxTables>(tx: Kysely<Tables>, { lane, id }: ReadMessage, delayMs: number) {
  await sql`
    with moved as (delete from outbox_messages where lane = ${lane} and id = ${id} returning *)
    insert into outbox_scheduled
      (lane, message_id, key, topic, payload, headers, mandatory, created_at, attempts, due_at)
    select lane, message_id, key, topic, payload, headers, mandatory, created_at, attempts + 1,
      clock_timestamp() + ${delayMs} * interval '1 millisecond'
    from moved`.execute(tx)
}

async function bury<Tables extends OutboxTables>(tx: Kysely<Tables>, message: ReadMessage, reason: string) {
  const { lane, id } = message
  const { numAffectedRows } = await sql`
    with buried as (
      insert into dead_letters
        (lane, message_id, key, topic, payload, headers, mandatory, created_at, attempts, source, reason)
      select lane, message_id, key, topic, payload, headers, mandatory, created_at, attempts + 1, 'outbox', ${reason}
      from outbox_messages where lane = ${lane} and id = ${id}
      on conflict do nothing
      returning 1
    )
    delete from outbox_messages where lane = ${lane} and id = ${id} and exists (select from buried)`.execute(tx)
  // An unresolved dead letter of its key and topic is in the way: this one waits until an operator has seen to that.
  if (numAffectedRows === 0n) await delay(tx, message, BLOCKED_MS)
}
