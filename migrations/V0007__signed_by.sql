-- When each block of a group was signed, in the order of `blocks`: who follows what is stored (GET /tail) reads the blocks that were signed
-- since it looked last, and not the million rows of a group that was sealed since. Null in groups from before.
alter table groups add column signed_by xid8[];
