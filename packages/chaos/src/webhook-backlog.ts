type Query = <Row extends object>(text: string) => Promise<Row[]>

/**
 * Counts what webhooks still have to do: events that are not fanned out, replays, and deliveries that are not finished. Those
 * of disabled and deleted endpoints do not count.
 */
export const COUNT_UNDELIVERED = `
  select (
    select count(*) from webhook_cursors c join payment_events e on e.merchant_id = c.merchant_id
    where (e.xid, e.id) > (c.xid, c.id)
  )::int + (
    select count(*) from webhook_replays where finished_at is null
  )::int + (
    select count(*) from webhook_deliveries d join webhook_queues q on q.endpoint_id = d.endpoint_id
    where q.is_enabled and d.status in ('pending', 'waiting')
  )::int`

// Only at endpoints at which the service looks neither within 20 seconds nor too late. A queue with a wrong `due_at` stays as
// it is, and the run reports the deliveries that are left.
const MAKE_DUE = `
  with resting as materialized (
    select q.endpoint_id from webhook_queues q
    where q.is_enabled and q.due_at > now() + interval '20 seconds' and q.due_at <= (
      select min(d.due_at) + interval '1 second' from webhook_deliveries d
      where d.endpoint_id = q.endpoint_id and d.status = 'pending')
    for update of q),
  made_due as (
    update webhook_deliveries d set due_at = now() from resting
    where d.endpoint_id = resting.endpoint_id and d.status = 'pending' and d.claim_token is null
    returning d.endpoint_id),
  woken as (
    update webhook_queues q set due_at = now(), held_until = null
    where q.endpoint_id in (select endpoint_id from made_due))
  select count(*)::int as count from made_due`

/**
 * Makes deliveries due that wait for a retry in minutes or hours, as an operator may. A run has no time for the schedule of
 * retries. Returns their number.
 */
export async function makeDue(query: Query): Promise<number> {
  const [row] = await query<{ count: number }>(MAKE_DUE)
  return row?.count ?? 0
}
