-- What happened to a PENDING payment, besides its events. A payment that is settled at its first attempt has no row here.
create table payment_attempts (
  id bigint generated always as identity primary key,
  payment_id uuid not null,
  at timestamptz not null default clock_timestamp(),
  kind text not null check (kind in ('unanswered', 'released', 'expired', 'redriven', 'parked', 'requeued')),
  -- The service, or the operator.
  actor text not null,
  -- The payment's attempts after this.
  attempts int,
  -- What is known of it, such as the reason, the worker's instance, and the times of claim, request and answer.
  data jsonb not null default '{}'
  -- Room to update the last row of a kind on its own page.
) with (fillfactor = 80);

create index payment_attempts_payment on payment_attempts (payment_id, id);

-- Pruning deletes them with their payments, also by statements of an earlier version, which do not name this table.
create function prunes_attempts() returns trigger language plpgsql as $$
begin
  delete from payment_attempts where payment_id in (select id from pruned);
  return null;
end $$;

create trigger prunes_attempts after delete on payments referencing old table as pruned
  for each statement execute function prunes_attempts();

-- Each act of an operator, written in the transaction of the act.
create table operator_actions (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  -- The program, such as cashflow, and the role of the session.
  via text not null,
  action text not null,
  target text not null,
  reason text,
  before jsonb,
  after jsonb
);

create index operator_actions_target on operator_actions (target, id);

create function is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the table % is append-only', tg_table_name using errcode = '42501';
end $$;

create trigger append_only before update or truncate on operator_actions
  for each statement execute function is_append_only();

-- One command may redrive millions of payments. When such a payment is pruned, its redrives may be deleted. All other acts
-- are kept forever.
create function keeps_acts() returns trigger language plpgsql as $$
begin
  -- Not one condition: only the target of a redrive is always a UUID.
  if old.action = 'redrive' then
    if exists (select from pruned_references where id = old.target::uuid)
      and not exists (select from payments where id = old.target::uuid)
    then
      return old;
    end if;
  end if;
  raise exception 'the table % is append-only', tg_table_name using errcode = '42501',
    hint = 'Only redrives of pruned payments can be deleted.';
end $$;

create trigger keeps_acts before delete on operator_actions
  for each row execute function keeps_acts();

-- A role that may store events may write the attempts too. Without these grants no claim would succeed after the upgrade,
-- until an operator has run the grants again.
do $$
declare
  role text;
begin
  for role in
    select distinct case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
    from pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
    where oid = 'payment_events'::regclass and privilege_type = 'INSERT' and grantee <> current_user::regrole
  loop
    execute format('grant select, insert, update on payment_attempts to %s', role);
  end loop;
end $$;
