-- steps after 0012
-- Two requests mean the same if their payments' columns are equal, so no hash of a request is stored. Not while services of
-- an earlier version run: they prepare "select *", which fails in an open session once the table has other columns.
alter table payments drop column if exists request_hash;
