-- No parameters.
-- What a server should have: the triggers that are missing or do not always
-- fire, a list; whether pg_trgm is there; how many connections it takes;
-- its version; why nothing can be written, if so; the rights that this role
-- lacks, a list.  Of what is not there nothing is lacking.
select coalesce(string_agg(wanted.name, ', ' order by wanted.name)
    filter (where t.oid is null), '') as triggers,
  (select count(*) from pg_extension where extname = 'pg_trgm')::text as trigram,
  current_setting('max_connections') as connections,
  current_setting('server_version') as version,
  current_setting('server_version_num') as version_number,
  case when pg_is_in_recovery() then 'standby'
    when current_setting('transaction_read_only') = 'on' then 'read-only'
    else '' end as read_only,
  (select coalesce(string_agg(missing, ', ' order by missing), '') from (
    select 'usage on schema pupitre' as missing from pg_namespace
    where nspname = 'pupitre' and not has_schema_privilege(oid, 'usage')
    union all
    select kind || ' on ' || place.name
    from (
      select 'pupitre.' || c.relname as name, c.oid, array['select'] || case
        when c.relname in ('credential', 'hot') then array['insert', 'update', 'delete']
        else '{}' end as kinds
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pupitre' and c.relname in
        ('migration', 'outbox', 'outbox_horizon', 'credential', 'hot')
      union all
      select quote_ident(name), to_regclass(quote_ident(name)),
        array['select', 'insert', 'update', 'delete']
      from unnest(array['User', 'Course', 'Lesson', 'CourseOnUser', 'LessonOnUser',
        'sessions']) name
    ) place, unnest(place.kinds) kind
    where not has_table_privilege(place.oid, kind)
  ) lacking) as rights
from (
  select name as on_table, event, name || ': pupitre_' || event as name
  from unnest(array['User', 'Course', 'Lesson', 'CourseOnUser', 'LessonOnUser', 'sessions']) name,
    unnest(array['insert', 'update', 'delete', 'truncate']) event
  where name <> 'sessions' or event <> 'insert'
) wanted
left join pg_trigger t on t.tgname = 'pupitre_' || wanted.event and t.tgenabled = 'A'
  and t.tgrelid = to_regclass(quote_ident(wanted.on_table))
