-- The search index that the writer builds itself, and the layout of rows that it needs. Rows move from `logs` to `records`; `logs`
-- stays the name that everybody selects from, as a view with readable columns.

-- traceId and spanId in as few bytes as they need (record/packed.rs): a tag, then the text (0), the bytes of lowercase hex (1),
-- or the 16 bytes of a lowercase UUID (2). Saves 22 bytes a row.
create function pack_id(id text) returns bytea language sql immutable strict parallel safe as $$
  select case
    when id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then '\x02'::bytea || decode(replace(id, '-', ''), 'hex')
    when id ~ '^([0-9a-f][0-9a-f])+$' then '\x01'::bytea || decode(id, 'hex')
    else '\x00'::bytea || convert_to(id, 'utf8')
  end
$$;
create function id_text(packed bytea) returns text language sql immutable strict parallel safe as $$
  select case get_byte(packed, 0)
    when 0 then convert_from(substr(packed, 2), 'utf8')
    when 1 then encode(substr(packed, 2), 'hex')
    else encode(substr(packed, 2), 'hex')::uuid::text
  end
$$;
create function level_name(level smallint) returns text language sql immutable strict parallel safe as $$
  select (array['trace', 'debug', 'info', 'warn', 'error', 'fatal'])[level]
$$;

-- Log records, partitioned by event time; as before, leaves are made by ensure_leaf, and there is no DEFAULT partition.
-- Fixed-width columns first: 32 bytes without padding. No unique index: exactly once rests on offsets and keys (a unique index costs
-- 53 bytes a row and a fifth of the write rate). `block` says which part of the index covers the row: (number of the block << 3) | unit,
-- a unit being 32 rows of it. It has no default, so a row that the writer did not place cannot be inserted, and be missed, by hand.
create table records (
  timestamp timestamptz not null,               -- event time in microseconds, UTC
  id uuid not null,                             -- first 48 bits: event time in milliseconds (UUIDv7 layout)
  block int not null check (block >= 0),
  level smallint not null,                      -- 1 trace, 2 debug, 3 info, 4 warn, 5 error, 6 fatal
  tenant smallint not null default 1,
  resource_id text collate "C" not null,
  trace_id bytea,                               -- pack_id()
  span_id bytea,                                -- pack_id()
  "commit" text collate "C",
  message text collate "C" not null,
  metadata json                                 -- as it came, without blanks: 50 bytes less a row than jsonb; the view has it as jsonb
) partition by range (timestamp);
-- The searcher fetches the rows of a unit (11 bytes a row).
create index records_block on records (block);
-- For SQL by time; nothing to speak of.
create index records_timestamp on records using brin (timestamp);

-- Names that clients gave their records: the same `id` and `timestamp` is stored once. Only named records have a row here.
create table record_names (
  id uuid primary key,
  client_id text collate "C" not null
);

-- A transaction that commits late may have a low number, so whoever follows a table asks for everything from the oldest transaction
-- on that was still running when it asked before (pg_snapshot_xmin). `xact` serves that.
alter table leaves rename to old_leaves;
alter table old_leaves rename constraint leaves_pkey to old_leaves_pkey;
alter table old_leaves rename constraint leaves_from_at_key to old_leaves_from_at_key;
alter table old_leaves rename constraint leaves_to_at_key to old_leaves_to_at_key;
create table leaves (
  leaf int primary key generated always as identity,
  name text not null unique,
  from_at timestamptz not null unique,
  to_at timestamptz not null unique,
  next_block int not null default 0,            -- handed out 64 at a time, and never again
  created_at timestamptz not null default now(),
  xact xid8 not null default pg_current_xact_id(),
  check (from_at < to_at),
  -- Counts are kept by the minute, and go with the leaf.
  check (extract(epoch from from_at)::numeric % 60 = 0 and extract(epoch from to_at)::numeric % 60 = 0)
) with (fillfactor = 50);

-- Leaves that retention has dropped: whoever knows them forgets them.
create table dropped_leaves (
  leaf int primary key,
  name text not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  bytes bigint not null,
  reason text not null,
  dropped_at timestamptz not null default now(),
  xact xid8 not null default pg_current_xact_id()
);

-- Blocks that may still receive rows, or whose writer ended before it signed them: always searched.
create table open_blocks (
  leaf int not null,
  block int not null,
  level smallint not null,
  writer int not null,                          -- holds the advisory lock (7312, writer) as long as it lives
  primary key (leaf, block)
);
create sequence writer_numbers as int cycle;

-- Signatures of blocks that are complete, until they are sealed into a group. Read whole, by xact; 8 KiB each, kept out of line.
create table signatures (
  leaf int not null,
  block int not null,
  level smallint not null,
  units bytea not null,                         -- rows, first and last time of each unit (index/span.rs)
  signature bytea not null,                     -- 65,536 bits
  signed_at timestamptz not null default now(),
  xact xid8 not null default pg_current_xact_id(),
  primary key (leaf, block)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_analyze_threshold = 100000);
alter table signatures alter column signature set storage external;
create index signatures_xact on signatures (xact);

-- Up to 4,096 signatures turned by 90 degrees: slice n says which blocks have bit n. A search reads the few slices it needs with
-- substring(), which fetches only the chunks that hold them, hence storage external.
create table groups (
  leaf int not null,
  grp int not null generated always as identity,
  width int not null,                           -- bytes of a slice: an eighth of the blocks
  from_at bigint not null,                      -- first and last row, microseconds since 1970
  to_at bigint not null,
  format smallint not null,                     -- of directory and slices (index/group.rs)
  blocks int[] not null,
  replaced int[] not null default '{}',         -- groups whose blocks were taken over
  directory bytea not null,                     -- what `signatures` holds beside the signature
  slices bytea not null,
  xact xid8 not null default pg_current_xact_id(),
  primary key (leaf, grp)
);
alter table groups alter column slices set storage external;
alter table groups alter column directory set storage external;

-- Records by minute and level: each batch appends, the sealer adds up what is older. Histograms of months read this instead of rows.
-- Whoever rewrites rows has the sealer's turn, the
-- advisory lock (7313, 1).
create table minute_counts (
  minute int not null,                          -- since 1970
  level smallint not null,
  n bigint not null
) with (autovacuum_vacuum_scale_factor = 0.02);
create index minute_counts_minute on minute_counts (minute);

drop function ensure_leaf(timestamptz, timestamptz, timestamptz);

-- Stand-alone leaf, then ATTACH: that takes SHARE UPDATE EXCLUSIVE on the parent only, so an open COPY or search goes on.
-- The bounds are clipped against the neighbours, hence leaves never overlap; returns the leaf that holds `at`. The number in the name
-- makes it unique for all time: a writer that knows a dropped leaf must not write into one that was made for the same range later.
create function ensure_leaf(at timestamptz, wanted_from timestamptz, wanted_to timestamptz)
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
  execute format('create index %I on %I using brin (timestamp)', leaf_name || '_timestamp', leaf_name);
  execute format('alter table records attach partition %I for values from (%L) to (%L)', leaf_name, leaf_from, leaf_to);
  execute format('alter table %I drop constraint %I', leaf_name, leaf_name || '_range');
  return query insert into leaves (leaf, name, from_at, to_at) overriding system value
    values (leaf_number, leaf_name, leaf_from, leaf_to) returning *;
end $$;

-- Rows that are stored already move over leaf by leaf. Their blocks count as left open by a writer that is gone: the sealer signs them.
do $$
declare
  old record;
  made leaves;
begin
  for old in select l.* from old_leaves l order by l.from_at loop
    select * into made from ensure_leaf(old.from_at, old.from_at, old.to_at);
    execute format(
      'insert into records (timestamp, id, block, level, tenant, resource_id, trace_id, span_id, "commit", message, metadata)
       select timestamp, id, (first + n / 256) << 3 | (n %% 256) / 32, level, tenant, resource_id, pack_id(trace_id), pack_id(span_id),
         "commit", message, metadata::json
       from (select *, (row_number() over (partition by level order by timestamp, id) - 1)::int as n from %1$I) l
       join (select level, coalesce(sum((count(*) + 255) / 256) over (order by level rows between unbounded preceding and 1 preceding), 0)::int as first
             from %1$I group by level) f using (level)', old.name);
    execute format('insert into open_blocks (leaf, block, level, writer)
      select distinct %s, block >> 3, level, 0 from %I', made.leaf, made.name);
    execute format('update leaves set next_block = coalesce((select max(block >> 3) + 1 from %I), 0) where leaf = %s', made.name, made.leaf);
  end loop;
end $$;
insert into minute_counts (minute, level, n)
  select floor(extract(epoch from timestamp) / 60)::int, level, count(*) from logs group by 1, 2;
insert into record_names (id, client_id) select id, client_id from logs where client_id is not null;
drop table logs;
drop table old_leaves;

-- What people select from.
create view logs as
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

-- An UPDATE or a hand-made INSERT would bypass the index, a DELETE the counts.
create function logs_is_read_only() returns trigger language plpgsql as $$
begin
  raise exception 'logs is read-only: records come in through POST /public/ingest and leave by retention or POST /v1/delete'
    using errcode = '42809';
end $$;
create trigger read_only instead of insert or update or delete on logs for each row execute function logs_is_read_only();

-- What was deleted by query (POST /v1/delete), dry runs included. `leaves` are those that lost rows: the units of their blocks hold
-- fewer rows than the index says, and their counts come from minute_counts, where each deletion is a negative number.
create table deletions (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  filter text not null,                         -- the parameters, as in the address of the search
  records bigint not null,
  took_ms bigint not null,
  client text not null,                         -- address
  dry_run boolean not null,
  leaves int[] not null
);

-- Who may read and nothing else. LOGIN, because settings of a role hold only for who logs in as it; without a password, so that nobody
-- can where passwords are asked for. Roles belong to the whole cluster: another database may have made it, or make it right now.
do $$
begin
  if not exists (select from pg_roles where rolname = 'log_reader') then
    create role log_reader login;
    alter role log_reader set default_transaction_read_only = on;
    alter role log_reader set statement_timeout = '30s';
  end if;
exception
  when duplicate_object or unique_violation then null;
  when insufficient_privilege then raise notice 'the role log_reader is not made: % may not create roles', current_user;
end $$;
do $$
begin
  grant select on logs, leaves, dropped_leaves, minute_counts to log_reader;
exception
  when undefined_object then null;              -- there is no such role
end $$;
