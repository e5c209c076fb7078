-- Every payment had an entry here, and none has a key yet: a twelfth of what PostgreSQL spent on storing one.
alter table payments drop constraint payments_merchant_id_idempotency_key_key;
create unique index payments_idempotency_key on payments (merchant_id, idempotency_key)
  where idempotency_key is not null;
