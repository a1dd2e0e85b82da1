-- Signatures have 95,808 bits instead of 65,536, and eight for a value instead of seven (docs/decisions.md, "The search index"). Those from
-- before say nothing any more. Their blocks count as left open by a writer that is gone: every search reads them until the sealer has signed
-- them anew from their rows. A block that has a writer already keeps it.
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
