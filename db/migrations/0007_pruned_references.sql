-- What remains of a payment that an operator has pruned: enough to refuse its reference forever, and to name the payment.
-- Each insert of payments reads this table. Text compares by its bytes, not by the collation of the database.
create table pruned_references (
  merchant_id uuid not null,
  reference text collate "C" not null,
  idempotency_key text collate "C",
  id uuid not null,
  amount_minor bigint not null,
  currency text not null,
  xid xid8 not null default pg_current_xact_id(),
  pruned_at timestamptz not null default now(),
  primary key (merchant_id, reference)
);

create unique index pruned_references_idempotency_key on pruned_references (merchant_id, idempotency_key)
  where idempotency_key is not null;

-- Allows deleting a payment only if an earlier transaction stored its reference in pruned_references. The function is
-- stable: it sees the snapshot of the deleting statement, without rows that were stored while waits_for_older_inserts waited.
create function keeps_pruned_reference() returns trigger language plpgsql stable as $$
begin
  if old.status = 'PENDING' or not exists (
    select from pruned_references r
    where r.merchant_id = old.merchant_id and r.reference = old.reference collate "C" and r.id = old.id
      and r.xid <> coalesce(pg_current_xact_id_if_assigned(), '0')
  ) then
    raise exception 'Payment % cannot be deleted', old.id using errcode = 'restrict_violation',
      hint = 'Only a settled payment can, whose reference an earlier transaction stored in pruned_references.';
  end if;
  return old;
end $$;

-- An insert whose snapshot is older than a row of pruned_references does not see that row. It waits for the delete on the
-- unique index of payments, and would then store the reference again. So the delete first waits for such inserts. Each of
-- them holds a lock on pruned_references, from before its snapshot to its end.
create function waits_for_older_inserts() returns trigger language plpgsql as $$
declare
  older text[] := array(
    select virtualtransaction from pg_locks
    where locktype = 'relation' and relation = 'pruned_references'::regclass and mode = 'AccessShareLock'
      and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid());
  waits_until timestamptz := clock_timestamp() + interval '10 seconds';
begin
  -- It does not look into pruned_references, so it would store a pruned reference again. Sessions say what they know.
  if exists (
    select from pg_stat_activity
    where datname = current_database() and application_name ~ '^cashflow-(?!migrate|operator)'
      and coalesce(substring(application_name from 'schema ([0-9]{4})'), '0')::int < 7
  ) then
    raise exception 'A service of an earlier version is connected'
      using errcode = 'object_in_use', hint = 'Delete payments when it is stopped. Afterwards start none again.';
  end if;
  while exists (
    select from pg_locks
    where locktype = 'relation' and relation = 'pruned_references'::regclass and mode = 'AccessShareLock'
      and virtualtransaction = any (older)
  ) loop
    if clock_timestamp() > waits_until then
      raise exception 'A transaction that reads pruned_references runs for over 10 seconds'
        using errcode = 'lock_not_available', hint = 'Delete payments again when it has ended, such as a dump.';
    end if;
    perform pg_sleep(0.01);
  end loop;
  return null;
end $$;

create trigger keeps_pruned_reference before delete on payments
  for each row execute function keeps_pruned_reference();
create trigger waits_for_older_inserts before delete on payments
  for each statement execute function waits_for_older_inserts();
