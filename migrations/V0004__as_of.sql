-- An answer can be asked for again as the store stood then: `as_of` is the snapshot of the first answer, and rows whose transaction it does
-- not see are left out. A row's xmin is the low half of its transaction's number. The whole number is the largest one with that half which
-- is not above `now`, the first number that the asking snapshot does not see: nobody sees a row of a later transaction. Before the first
-- 2^32 transactions there was nothing, so what would be negative was stored before everything, and so was 2, which very old servers wrote
-- into frozen rows.
--
-- A snapshot lists whole transactions, but xmin is the number of a subtransaction if the row was written behind a savepoint, or in plpgsql
-- under an exception clause. So nobody who stores records does that: src/writer begins, COPYs and commits, and has no savepoints.
-- POST /v1/delete has one, and stores no records.
--
-- One expression, so that it is inlined; 0.1 µs a row.
create function stored_before(row_xmin xid, as_of pg_snapshot, now bigint)
returns boolean language sql immutable parallel safe as $$
  select pg_visible_in_snapshot(greatest(now - ((now - row_xmin::text::bigint) & 4294967295), 0)::text::xid8, as_of)
    or row_xmin = '2'::xid
$$;
