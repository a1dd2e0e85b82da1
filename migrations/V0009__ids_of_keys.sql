-- Which records a message held, not only how many: two requests with one key can hold as many of one body, yet others, when a timestamp
-- comes within the allowed range between them and another leaves it. The first 64 bits of BLAKE3 over the records' ids; null: stored by
-- an earlier release.
alter table ingest_keys add column if not exists ids_hash bigint;

drop function if exists advance(text, int[], bigint[], bigint[], bigint[], uuid[], smallint[], uuid[], smallint[], bigint[], int[], bigint[]);

-- The last statement of every batch. Moves the partitions from `from_offsets` to `to_offsets` if this writer still owns them
-- (compare-and-swap on offset and epoch), and remembers the messages' keys. Taken last, because what it locks is then held only while
-- the server commits: a writer paused in mid-COPY blocks nobody.
-- LI001: another owner, or this very batch is stored already. LI002: one of the keys is stored already.
-- A process of an earlier release calls it without the last argument.
create or replace function advance(
  topic_name text, partitions int[], from_offsets bigint[], to_offsets bigint[], epochs bigint[], last_keys uuid[],
  key_tenants smallint[], keys uuid[], key_parts smallint[], body_hashes bigint[], record_counts int[], received bigint[],
  ids_hashes bigint[] default null)
returns void
language plpgsql as $$
declare
  moved int;
  wanted int := coalesce(cardinality(partitions), 0);
begin
  if wanted > 0 then
    perform 1 from kafka_progress k where k.topic = topic_name and k.partition = any (partitions) order by k.partition for update;
    update kafka_progress k set next_offset = u.to_offset, last_key = u.last_key, updated_at = now()
      from unnest(partitions, from_offsets, to_offsets, epochs, last_keys) as u (p, from_offset, to_offset, epoch, last_key)
      where k.topic = topic_name and k.partition = u.p and k.next_offset = u.from_offset and k.epoch = u.epoch;
    get diagnostics moved = row_count;
    if moved <> wanted then
      raise exception 'fenced: % of % partitions are still ours', moved, wanted using errcode = 'LI001';
    end if;
  end if;
  wanted := coalesce(cardinality(keys), 0);
  if wanted > 0 then
    insert into ingest_keys (tenant, key, part, body_hash, records, received_at, ids_hash)
      select t, k, n, h, c, 'epoch'::timestamptz + r * interval '1 microsecond', i
      from unnest(key_tenants, keys, key_parts, body_hashes, record_counts, received, ids_hashes) as u (t, k, n, h, c, r, i)
      order by t, k, n, h
      on conflict do nothing;
    get diagnostics moved = row_count;
    if moved <> wanted then
      raise exception 'repeated: % of % messages are new', moved, wanted using errcode = 'LI002';
    end if;
  end if;
end $$;
