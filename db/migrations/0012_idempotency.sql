-- A pruned payment's request, repeated with its idempotency key, gets the answer that it got at first. It needs these.
alter table pruned_references
  add column metadata jsonb,
  add column created_at timestamptz,
  add constraint pruned_references_replay check (idempotency_key is null or created_at is not null) not valid;

-- Copies them also if the operator's statement does not name them. A restored row has no payment, and stays as it is.
create function keeps_replay() returns trigger language plpgsql as $$
declare
  pruned record;
begin
  select p.idempotency_key, p.metadata, p.created_at into pruned from payments p where p.id = new.id;
  if found then
    new.idempotency_key := pruned.idempotency_key;
    new.metadata := pruned.metadata;
    new.created_at := pruned.created_at;
  end if;
  return new;
end $$;

create trigger keeps_replay before insert on pruned_references
  for each row execute function keeps_replay();
