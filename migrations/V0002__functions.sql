-- Stand-alone leaf, then ATTACH: that takes SHARE UPDATE EXCLUSIVE on the parent only, so an open COPY or search goes on.
-- The bounds are clipped against the neighbours, hence leaves never overlap; returns the leaf that holds `at`.
create function ensure_leaf(at timestamptz, wanted_from timestamptz, wanted_to timestamptz)
returns table (name text, from_at timestamptz, to_at timestamptz)
language plpgsql as $$
declare
  leaf_from timestamptz;
  leaf_to timestamptz;
  leaf_name text;
begin
  perform pg_advisory_xact_lock(7311, 1);      -- one maker at a time
  return query select l.name, l.from_at, l.to_at from leaves l where l.from_at <= at and at < l.to_at;
  if found then
    return;
  end if;
  select greatest(wanted_from, max(l.to_at)) into leaf_from from leaves l where l.to_at <= at;
  select least(wanted_to, min(l.from_at)) into leaf_to from leaves l where l.from_at > at;
  leaf_name := 'logs_' || to_char(leaf_from at time zone 'utc', 'YYYYMMDD"t"HH24MISS');
  execute format('create table %I (like logs including defaults)', leaf_name);
  execute format('alter table %I add constraint %I check (timestamp >= %L and timestamp < %L)',
    leaf_name, leaf_name || '_range', leaf_from, leaf_to);
  execute format('create unique index %I on %I (timestamp, id)', leaf_name || '_timestamp_id', leaf_name);
  execute format('create index %I on %I (trace_id)', leaf_name || '_trace_id', leaf_name);
  execute format('alter table logs attach partition %I for values from (%L) to (%L)', leaf_name, leaf_from, leaf_to);
  execute format('alter table %I drop constraint %I', leaf_name, leaf_name || '_range');
  insert into leaves (name, from_at, to_at) values (leaf_name, leaf_from, leaf_to);
  return query select leaf_name, leaf_from, leaf_to;
end $$;

-- Takes ownership of partitions: whoever held them is refused from now on. Waits for an owner that is inside its commit, so what it
-- returns is final. A partition seen for the first time starts at `start_offsets`.
create function claim_partitions(topic_name text, partitions int[], start_offsets bigint[], new_owner text)
returns table (claimed int, next_offset bigint, epoch bigint, last_key uuid)
language plpgsql as $$
begin
  insert into kafka_progress (topic, partition, next_offset, epoch, owner)
    select topic_name, p, o, 0, new_owner from unnest(partitions, start_offsets) as u (p, o) order by p
    on conflict do nothing;
  perform 1 from kafka_progress k where k.topic = topic_name and k.partition = any (partitions) order by k.partition for update;
  return query
    update kafka_progress k set epoch = k.epoch + 1, owner = new_owner, updated_at = now()
    where k.topic = topic_name and k.partition = any (partitions)
    returning k.partition, k.next_offset, k.epoch, k.last_key;
end $$;

-- The last statement of every batch. Moves the partitions from `from_offsets` to `to_offsets` if this writer still owns them
-- (compare-and-swap on offset and epoch), and remembers the messages' keys. Taken last, because what it locks is then held only while
-- the server commits: a writer paused in mid-COPY blocks nobody.
-- LI001: another owner, or this very batch is stored already. LI002: one of the keys is stored already.
create function advance(
  topic_name text, partitions int[], from_offsets bigint[], to_offsets bigint[], epochs bigint[], last_keys uuid[],
  key_tenants smallint[], keys uuid[], key_parts smallint[], body_hashes bigint[], record_counts int[], received bigint[])
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
    insert into ingest_keys (tenant, key, part, body_hash, records, received_at)
      select t, k, n, h, c, 'epoch'::timestamptz + r * interval '1 microsecond'
      from unnest(key_tenants, keys, key_parts, body_hashes, record_counts, received) as u (t, k, n, h, c, r)
      order by t, k, n, h
      on conflict do nothing;
    get diagnostics moved = row_count;
    if moved <> wanted then
      raise exception 'repeated: % of % messages are new', moved, wanted using errcode = 'LI002';
    end if;
  end if;
end $$;
