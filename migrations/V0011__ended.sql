-- An index by time is made when a leaf has ended (writer/ended.rs): while rows come it costs a tenth of Postgres' work and helps nobody. Those that
-- are there go, with the one of the parent that would have every new leaf make its own; ended leaves have theirs again within minutes.
drop index if exists records_timestamp;
create or replace function ensure_leaf(at timestamptz, wanted_from timestamptz, wanted_to timestamptz)
returns setof leaves
language plpgsql as $$
declare
  leaf_from timestamptz;
  leaf_to timestamptz;
  leaf_number int;
  leaf_name text;
begin
  perform pg_advisory_xact_lock(7311, 1);      -- one maker at a time
  return query select l.* from leaves l where l.from_at <= at and at < l.to_at;
  if found then
    return;
  end if;
  select greatest(wanted_from, max(l.to_at)) into leaf_from from leaves l where l.to_at <= at;
  select least(wanted_to, min(l.from_at)) into leaf_to from leaves l where l.from_at > at;
  leaf_number := nextval(pg_get_serial_sequence('leaves', 'leaf'));
  leaf_name := 'records_' || to_char(leaf_from at time zone 'utc', 'YYYYMMDD"t"HH24MISS') || '_' || leaf_number;
  execute format('create table %I (like records including defaults including constraints)', leaf_name);
  execute format('alter table %I add constraint %I check (timestamp >= %L and timestamp < %L)',
    leaf_name, leaf_name || '_range', leaf_from, leaf_to);
  execute format('create index %I on %I (block)', leaf_name || '_block', leaf_name);
  execute format('alter table records attach partition %I for values from (%L) to (%L)', leaf_name, leaf_from, leaf_to);
  execute format('alter table %I drop constraint %I', leaf_name, leaf_name || '_range');
  return query insert into leaves (leaf, name, from_at, to_at) overriding system value
    values (leaf_number, leaf_name, leaf_from, leaf_to) returning *;
end $$;
