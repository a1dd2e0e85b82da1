-- Which field values a block holds, and a group: hashes of 28 bits, sorted (index/values.rs). A search reads one bucket of a group to know that a
-- value is nowhere in it. Null in what was signed or sealed before, which every search looks into as it did.
alter table signatures add column if not exists value_hashes bytea;
alter table signatures alter column value_hashes set storage external;
alter table groups add column if not exists value_hashes bytea;
alter table groups alter column value_hashes set storage external;
alter table groups add column if not exists bucket_width int;
