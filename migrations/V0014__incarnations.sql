-- What processes remember of the index goes by numbers of transactions and blocks. After a crash, on a standby that was promoted, and in a backup that
-- was restored, some of them are given out a second time, and mean something else. An unlogged table is empty in all three, so who remembers its row
-- knows that all he remembers is of another history. Made anew by who misses it (src/search/ahead.rs).
drop table if exists incarnations;
create unlogged table incarnations (
  only_one boolean primary key default true check (only_one),
  id uuid not null default gen_random_uuid()
);
insert into incarnations default values;
-- Null if the row is missing. The number of the table tells a dump that was restored. A standby cannot read the table, and repeats the history
-- of another server until it is promoted.
create or replace function incarnation() returns text language plpgsql stable as $$
begin
  if pg_is_in_recovery() then
    return 'standby';
  end if;
  return (select concat_ws(' ', id, tableoid) from incarnations);
end $$;
