-- What of a message stands in a signature has changed (docs/decisions.md, "Which runs of a message"): as with V8, blocks count as left open by a
-- writer that is gone, and every search reads them until the sealer has signed them anew from their rows. The column has another name, so that
-- a process of an earlier version that still runs can neither write nor read a signature that says something else.
do $$
declare
  old leaves;
begin
  for old in select * from leaves where leaf in (select leaf from signatures union select leaf from groups) loop
    execute format('insert into open_blocks (leaf, block, level, writer)
      select distinct %s, block >> 3, level, 0 from %I on conflict do nothing', old.leaf, old.name);
  end loop;
end $$;
delete from signatures;
delete from groups;
alter table signatures rename column signature to bits;
