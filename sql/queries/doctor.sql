-- No parameters.
-- What a server should have: the triggers that are missing or do not always
-- fire, a line each; whether pg_trgm is there; how many connections it takes.
select coalesce(string_agg(wanted.name, e'\n' order by wanted.name)
    filter (where t.oid is null), '') as triggers,
  (select count(*) from pg_extension where extname = 'pg_trgm')::text as trigram,
  current_setting('max_connections') as connections
from (
  select name as on_table, event, name || ': pupitre_' || event as name
  from unnest(array['User', 'Course', 'Lesson', 'CourseOnUser', 'LessonOnUser', 'sessions']) name,
    unnest(array['insert', 'update', 'delete', 'truncate']) event
  where name <> 'sessions' or event <> 'insert'
) wanted
left join pg_trigger t on t.tgname = 'pupitre_' || wanted.event and t.tgenabled = 'A'
  and t.tgrelid = to_regclass(quote_ident(wanted.on_table))
