-- $1 how many at most
-- The latest changes: when, by whom, and the first of their tags; and about how
-- many rows the outbox has, as the statistics of the server say.
select coalesce(pg_stat_get_live_tuples('pupitre.outbox'::regclass), 0)::text as rows,
  coalesce((
    select json_agg(json_build_object('at', pupitre.iso(made_at at time zone 'UTC'),
      'cause', case
        when tags = '{all}' then 'clear'
        when cause ~ '^(GET|POST) /api/test/cache' then 'operator'
        when cause ~ '^(POST|PUT|PATCH|DELETE) /' then 'route'
        else 'database' end,
      'what', coalesce(cause, ''),
      'tags', tags[1:10], 'count', cardinality(tags)) order by made_at desc)
    from (select * from pupitre.outbox order by made_at desc limit $1::int) newest), '[]'
  )::text as latest
