-- The one big table and what exactly-once needs beside it.

-- Who owns records. Keys and row-level security build on it; everything belongs to `default` until then.
create table tenants (
  id smallint primary key,
  name text not null unique
);
insert into tenants (id, name) values (1, 'default');

-- Log records: ordinary rows, partitioned by event time. Leaves are made by the writer (function ensure_leaf), stand-alone with a
-- CHECK and then attached, so that neither the writer nor a reader is blocked; there is no DEFAULT partition, which would turn the
-- ordered Append of a newest-first search into a Merge Append.
--
-- Column order: 8-byte, 16-byte and 2-byte columns first, so that no padding stands between them (26 bytes), then the texts.
-- Texts are collate "C": ILIKE is 2.6 times faster (docs/decisions.md), and order is by byte.
create table logs (
  timestamp timestamptz not null,               -- event time in microseconds, UTC
  id uuid not null,                             -- first 48 bits: event time in milliseconds (UUIDv7 layout)
  tenant smallint not null default 1,
  level smallint not null,                      -- 1 trace, 2 debug, 3 info, 4 warn, 5 error, 6 fatal
  resource_id text collate "C" not null,
  trace_id text collate "C",
  span_id text collate "C",
  "commit" text collate "C",
  message text collate "C" not null,
  metadata jsonb,
  client_id text collate "C"                    -- the client's own name for the record, if it sent one
) partition by range (timestamp);

-- unique(timestamp, id): the newest page and every keyset page, and the same client `id` + `timestamp` stored once (46 B a row).
-- (trace_id): all records of a trace, whenever they were (14 B a row).
create unique index logs_timestamp_id on logs (timestamp, id);
create index logs_trace_id on logs (trace_id);

-- Where the writer stands in each Kafka partition. Changed only by advance() and by claim_partitions(), in the transaction of the rows.
-- fillfactor 50: one update a batch stays on the page (HOT).
create table kafka_progress (
  topic text not null,
  partition int not null,
  next_offset bigint not null,                  -- first offset that is not stored yet
  epoch bigint not null,                        -- raised by each claim: whoever holds an older one is refused
  last_key uuid,                                -- key of the message at next_offset - 1: a topic made anew does not hold it
  owner text not null,
  updated_at timestamptz not null default now(),
  primary key (topic, partition)
) with (fillfactor = 50);

-- One row a message (up to 2,000 records): a repeat of the same key and body stores nothing. Kept seven days.
-- body_hash is part of the key: another body under the same key that was acknowledged before the first was stored is stored too,
-- because an acknowledged record is never lost; after that the door answers 409.
create table ingest_keys (
  tenant smallint not null,
  key uuid not null,
  part smallint not null,                       -- number of the message within its request
  body_hash bigint not null,
  records int not null,
  received_at timestamptz not null,
  primary key (tenant, key, part, body_hash)
);
-- Expiry reads ranges of arrival time; brin costs nothing on insert.
create index ingest_keys_received_at on ingest_keys using brin (received_at) with (pages_per_range = 32);

-- What reached the writer and cannot be stored: a bug of ours or a foreign message in the topic. Nothing is dropped unseen.
create table dead_letters (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  topic text,
  partition int,
  "offset" bigint,
  index int not null,                           -- number of the line within the message
  sqlstate text,
  reason text not null,
  raw bytea not null                            -- the line as it was, replayable
);

-- The bounds of each leaf, so that the writer and the search find leaves without reading the catalogue.
create table leaves (
  name text primary key,
  from_at timestamptz not null unique,
  to_at timestamptz not null unique,
  created_at timestamptz not null default now(),
  check (from_at < to_at)
);
