-- What people keep: searches under a name, and the searches that were run. And when each commit was first seen.

-- Saved views. GET /views/{id} leads to the search, so the id is what is shared; it stays when name or search are changed.
create table views (
  id text collate "C" primary key,              -- 12 random letters and digits
  tenant smallint not null default 1,
  name text not null check (char_length(name) between 1 and 80),
  params text not null,                         -- query string of the page, without the `?`
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (tenant, name)
);

-- The newest 500 searches of each tenant, whoever ran them. fillfactor 50: a search that is run again stays on its page.
create table searches (
  tenant smallint not null default 1,
  params text not null,                         -- as in `views`, but what is searched for only
  last_at timestamptz not null,
  times bigint not null
) with (fillfactor = 50);
-- By hash, because a search may be longer than an index takes.
create unique index searches_params on searches (tenant, md5(params));

-- Deploy markers: the earliest event time at which each commit was seen, written by the writer in the transaction of the rows
-- (writer/commits.rs). The 10,000 commits that were first seen last are kept. They stay when their records are dropped: a commit that
-- runs on would be taken for a new one.
create table commits (
  tenant smallint not null default 1,
  "commit" text collate "C" not null,
  first_at timestamptz not null,                -- -infinity: before markers were written
  first_resource text collate "C" not null,
  primary key (tenant, "commit")
);
create index commits_first_at on commits (first_at);

-- Commits that run already are no deployments of the moment of this migration. A look at about a thousand pages of each of the newest
-- leaves, not at all rows: a commit that it misses gets a marker when it is seen next.
do $$
declare
  leaf record;
begin
  for leaf in
    select name, greatest(pg_relation_size(to_regclass(quote_ident(name))) / current_setting('block_size')::int, 1) as pages
    from leaves where from_at <= now() order by from_at desc limit 3
  loop
    execute format(
      'insert into commits ("commit", first_at, first_resource)
       select "commit", ''-infinity'', min(resource_id) from %I tablesample system (%s) where "commit" <> '''' group by "commit" limit 3000
       on conflict do nothing', leaf.name, least(100, 100000.0 / leaf.pages));
  end loop;
end $$;

do $$
begin
  grant select on commits to log_reader;
exception
  when undefined_object then null;              -- there is no such role
end $$;
