-- Which counts were appended since the sealer last added them up, so that it looks at these alone and not at years of minutes. Null for
-- those that are added up: a null column takes no place in a row as short as this. What is there already is added up once more.
alter table minute_counts add column is_new boolean default true;
create index minute_counts_new on minute_counts (minute) where is_new;
