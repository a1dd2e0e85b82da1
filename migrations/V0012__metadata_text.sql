-- Metadata is text. The door has checked it (record/metadata.rs), but Postgres parses what goes into a column of type json once more, which was a tenth
-- of what it does for a row, and json was cast to text for every test. The view has it as jsonb, as before.

-- The type of a column that a view reads cannot change, and what people have built on the view, and their grants, must not go with it.
create or replace view logs as
select
  r.timestamp,
  r.id,
  level_name(r.level) as level,
  r.resource_id,
  id_text(r.trace_id) as trace_id,
  id_text(r.span_id) as span_id,
  r."commit",
  r.message,
  null::jsonb as metadata,
  (select n.client_id from record_names n where n.id = r.id) as client_id,
  (select t.name from tenants t where t.id = r.tenant) as tenant
from records r;
-- The bytes of json are those of text, so nothing has to be written anew; to say so takes a superuser, as the private Postgres has. Anybody
-- else's rows are rewritten once.
do $$
declare
  is_ours boolean := true;
begin
  begin
    create cast (json as text) without function as assignment;
  exception
    when insufficient_privilege or duplicate_object then is_ours := false;
  end;
  alter table records alter column metadata type text collate "C";
  if is_ours then
    drop cast (json as text);
  end if;
end $$;
create or replace view logs as
select
  r.timestamp,
  r.id,
  level_name(r.level) as level,
  r.resource_id,
  id_text(r.trace_id) as trace_id,
  id_text(r.span_id) as span_id,
  r."commit",
  r.message,
  r.metadata::jsonb as metadata,
  (select n.client_id from record_names n where n.id = r.id) as client_id,
  (select t.name from tenants t where t.id = r.tenant) as tenant
from records r;

-- Nothing compares the column as a whole, so statistics of it would cost each analyze, and each plan, and help nobody.
alter table records alter column metadata set statistics 0;
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
  execute format('alter table %I alter metadata set statistics 0', leaf_name);
  execute format('alter table %I add constraint %I check (timestamp >= %L and timestamp < %L)',
    leaf_name, leaf_name || '_range', leaf_from, leaf_to);
  execute format('create index %I on %I (block)', leaf_name || '_block', leaf_name);
  execute format('alter table records attach partition %I for values from (%L) to (%L)', leaf_name, leaf_from, leaf_to);
  execute format('alter table %I drop constraint %I', leaf_name, leaf_name || '_range');
  return query insert into leaves (leaf, name, from_at, to_at) overriding system value
    values (leaf_number, leaf_name, leaf_from, leaf_to) returning *;
end $$;
