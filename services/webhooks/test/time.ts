import { randomUUID } from 'node:crypto'
import type { Tables } from '@cashflow/db'
import { type ClaimedDelivery, claimDeliveries } from '@cashflow/db/webhooks'
import { query } from '@cashflow/dev-stack'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { LEASE_MS } from '../src/limits.ts'

/** Lets time pass for endpoints: all that is stored of them happened, and will happen, earlier by `ms`. */
export async function pass(url: string, ms: number, endpointIds?: readonly string[]): Promise<void> {
  const by = `- ${ms} * interval '1 ms'`
  const where = endpointIds ? `endpoint_id in (${endpointIds.map((id) => `'${id}'`).join()})` : 'true'
  await query(
    url,
    `begin;
    select from webhook_queues where ${where} order by endpoint_id for update;
    update webhook_deliveries set due_at = due_at ${by}, retry_at = retry_at ${by}
      where ${where} and status = 'pending' and claim_token is null;
    update webhook_queues set due_at = case when isfinite(due_at) then due_at ${by} else due_at end,
      failing_since = failing_since ${by}, held_until = held_until ${by}, recovering_since = recovering_since ${by} where ${where};
    commit`,
  )
}

/** Claims deliveries as a process that dies at once. Returns them. */
export async function claimAndDie(db: Kysely<Tables>, options: { window?: number; deliveriesMax?: number } = {}) {
  const { window = 8, deliveriesMax = 64 } = options
  const token = randomUUID()
  return await claimDeliveries(db, { token, deliveriesMax, failingMax: 16, window, leaseMs: LEASE_MS }).then(
    ({ deliveries }) => deliveries,
  )
}

/** Ends the leases of deliveries, as time does. */
export async function endLeases(url: string, deliveries: readonly ClaimedDelivery[]): Promise<void> {
  const tokens = [...new Set(deliveries.map(({ token }) => `'${token}'`))]
  if (tokens.length === 0) return
  await query(
    url,
    `begin;
    select from webhook_queues order by endpoint_id for update;
    update webhook_deliveries set due_at = now() where claim_token in (${tokens.join()});
    update webhook_queues q set due_at = now() where exists (
      select from webhook_deliveries d where d.endpoint_id = q.endpoint_id and d.claim_token in (${tokens.join()}));
    commit`,
  )
}

/** Fails if a delivery is left behind: no look at its endpoint finds it, or it waits for nothing. */
export async function expectNoneLeftBehind(url: string): Promise<void> {
  const sleeping = await query(
    url,
    `select q.endpoint_id, q.due_at as queue_due_at, d.* from webhook_queues q
    join webhook_deliveries d on d.endpoint_id = q.endpoint_id
    where q.is_enabled and d.status = 'pending'
      and q.due_at > greatest(d.due_at, clock_timestamp(), q.held_until) + interval '1 second'
      and not (q.is_full and exists (
        select from webhook_deliveries f where f.endpoint_id = q.endpoint_id and f.claim_token is not null and f.due_at >= q.due_at))
      -- A recovery looks again each second.
      and not (q.recovering_since is not null and q.due_at < clock_timestamp() + interval '1 second')`,
  )
  expect(sleeping).to.deep.equal([])
  const waiting = await query(
    url,
    `select w.* from webhook_deliveries w where w.status = 'waiting' and not exists (
      select from webhook_deliveries p
      where p.endpoint_id = w.endpoint_id and p.payment_id = w.payment_id and p.sequence < w.sequence
        and p.status in ('pending', 'waiting'))`,
  )
  expect(waiting).to.deep.equal([])
}
