-- steps
-- Lists of a merchant's payments, newest first. Each status and currency is one part of it, in the order of the list. The
-- condition is true for every payment. Only the statements of lists repeat it, so no other statement can use this index.
-- While there are few payments, PostgreSQL might otherwise plan the look-up of a reference or a key with it, keep the plan,
-- and later read all payments of the merchant.
create index concurrently if not exists payments_lists
  on payments (merchant_id, status collate "C", currency collate "C", created_at, id)
  where created_at >= '-infinity';
