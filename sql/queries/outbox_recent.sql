-- $1 how many at most
-- The latest changes: when, by whom, and the first of their tags; of ten times as
-- many, for a program, a line each of age in milliseconds, cause, words and tags
-- with tabs between; and about how many rows the outbox has, as the statistics
-- of the server say.
with newest as (
  select made_at, tags, coalesce(cause, '') as what, case
      when tags = '{all}' then 'clear'
      when cause ~ '^(GET|POST) /api/test/cache' then 'operator'
      when cause ~ '^(POST|PUT|PATCH|DELETE) /' then 'route'
      else 'database' end as word
  from pupitre.outbox order by made_at desc limit $1::int * 10
)
select coalesce(pg_stat_get_live_tuples('pupitre.outbox'::regclass), 0)::text as rows,
  coalesce((
    select json_agg(json_build_object('at', pupitre.iso(made_at at time zone 'UTC'),
      'cause', word, 'what', what, 'tags', tags[1:10], 'count', cardinality(tags))
      order by made_at desc)
    from (select * from newest order by made_at desc limit $1::int) latest), '[]'
  )::text as latest,
  coalesce((
    select string_agg(concat_ws(e'\t', greatest(0, extract(epoch from clock_timestamp() - made_at)
          * 1000)::bigint, word, translate(what, e'\t\n', '  '),
        translate(array_to_string(tags[1:50], e'\x01'), e'\t\n\x01', e'  \t')), e'\n'
      order by made_at desc)
    from newest), ''
  ) as lines
