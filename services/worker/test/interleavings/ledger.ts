import { defined } from '@cashflow/async'
import type { Tables } from '@cashflow/db'
import { type Kysely, sql } from 'kysely'
import type { Broker } from './broker.ts'
import type { Calls } from './provider.ts'

/** Creates triggers that record each message that is committed to the outbox, its table, and who claims and settles. */
export async function createLedger(db: Kysely<Tables>): Promise<void> {
  await sql`create table ledger (place text, message_id uuid, key text, topic text, id bigint)`.execute(db)
  await sql`create function enter() returns trigger language plpgsql as $$ begin
    insert into ledger values (tg_table_name, new.message_id, new.key, new.topic, new.id); return null;
  end $$`.execute(db)
  for (const table of ['outbox_messages', 'outbox_scheduled', 'dead_letters'])
    await sql`create trigger enter after insert on ${sql.table(table)} for each row execute function enter()`.execute(
      db,
    )
  await sql`create table claims (payment uuid primary key, actor text);
    create table trespasses (payment uuid, claimed_by text, settled_by text);
    create function watch() returns trigger language plpgsql as $$
    declare
      me text := current_setting('application_name');
      claimer text;
    begin
      if new.claim_token <> old.claim_token or new.claim_token is not null and old.claim_token is null then
        insert into claims values (new.id, me) on conflict (payment) do update set actor = me;
      end if;
      if new.status <> old.status then
        select actor into claimer from claims where payment = new.id;
        if claimer is distinct from me then insert into trespasses values (new.id, claimer, me); end if;
      end if;
      return null;
    end $$;
    create trigger watch after update on payments for each row execute function watch()`.execute(db)
}

export async function empty(db: Kysely<Tables>): Promise<void> {
  await sql`truncate ledger, claims, trespasses, payments, payment_events, payment_attempts, outbox_messages, outbox_scheduled, dead_letters`.execute(
    db,
  )
}

/** Returns a line for each violation of what must hold at every moment. */
export async function broken(db: Kysely<Tables>, broker: Broker, calls: Calls): Promise<string[]> {
  const { rows } = await sql<{ gone: string[]; settled: string[]; twice: string[]; trespasses: string[] }>`select
    array(select message_id::text from ledger except (select message_id::text from outbox_messages union all
      select message_id::text from outbox_scheduled union all select message_id::text from dead_letters)) as gone,
    array(select id::text from payments where status <> 'PENDING') as settled,
    array(select payment_id::text from payment_events where type <> 'payment.created' group by 1 having count(*) > 1
      union all select key from ledger where topic in ('payment.succeeded', 'payment.failed')
      group by key having count(distinct message_id) > 1) as twice,
    array(select payment || ', which ' || claimed_by || ' claimed last, was settled by ' || settled_by
      from trespasses) as trespasses`.execute(db)
  const { gone, settled, twice, trespasses } = defined(rows[0], 'row')
  return [
    ...gone.filter((id) => !broker.confirmed.has(id)).map((id) => `message ${id} was deleted before its confirm`),
    ...settled
      .filter((id) => calls.live.has(id))
      .map((id) => `payment ${id} was settled while another worker held its lease`),
    ...twice.map((id) => `payment ${id} was settled twice`),
    ...trespasses.map((text) => `payment ${text}`),
    ...calls.violations,
  ]
}

/** Returns a line for each violation of what must hold in the end: the order of first arrivals, and that no work is left. */
export async function unfinished(db: Kysely<Tables>, broker: Broker): Promise<string[]> {
  const { rows } = await sql<{ left: string[]; open: string[]; ordered: { key: string; ids: string[] }[] }>`select
    array(select message_id::text from outbox_messages union all select message_id::text from outbox_scheduled) as left,
    array(select id::text from payments p where not exists (
        select from payment_events e where e.payment_id = p.id and e.type <> 'payment.created')
      and not exists (select from dead_letters d where d.key = p.id::text and p.parked_at is not null)) as open,
    (select coalesce(jsonb_agg(o), '[]') from (select key, jsonb_agg(message_id order by id) as ids from ledger l
      where place = 'outbox_messages' and not exists (
        select from ledger s where s.message_id = l.message_id and s.place <> 'outbox_messages')
      group by key) o) as ordered`.execute(db)
  const { left, open, ordered } = defined(rows[0], 'row')
  const disordered = ordered.filter(({ ids }) => {
    const expected = ids.filter((id) => !broker.refused.has(id))
    const seen = broker.arrived.filter((id) => expected.includes(id))
    return seen.join() !== expected.join()
  })
  return [
    ...left.map((id) => `message ${id} is still in the outbox`),
    ...open.map((id) => `payment ${id} is neither settled nor parked`),
    ...disordered.map(({ key, ids }) => `messages of ${key} arrived out of order: ${ids}`),
  ]
}
