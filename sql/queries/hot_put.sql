-- $1 "READS KEY", a line each
-- The keys that are read most at present.  Those that are not among them any
-- more are forgotten by halves.
with said as (
  select split_part(line, ' ', 1)::bigint as reads, substr(line, strpos(line, ' ') + 1) as key
  from unnest(string_to_array($1, e'\n')) line
), put as (
  insert into pupitre.hot as h (key, reads) select distinct on (key) key, reads from said
  on conflict (key) do update set reads = excluded.reads
), aged as (
  update pupitre.hot set reads = reads / 2
  where reads > 1 and not exists (select from said where said.key = hot.key)
), gone as (
  delete from pupitre.hot
  where reads <= 1 and not exists (select from said where said.key = hot.key)
)
select 'ok' as outcome, count(*)::text as body from said
