-- What has changed, said by the database itself: triggers compute the tags of
-- every change and put them into the outbox in the same transaction, one row
-- for each transaction, and one NOTIFY wakes those who listen.
--
-- A reader keeps the snapshot of its last look and asks for what is visible
-- now and was not then.  So it matters neither in which order transactions
-- commit nor how long one takes.  Who was away asks for what was made since,
-- too: a server that crashed may give the same numbers once more.

create table if not exists pupitre.outbox (
  xid xid8 not null primary key,
  tags text[] not null,
  cause text,
  made_at timestamptz not null default clock_timestamp()
);

create index if not exists pupitre_outbox_made on pupitre.outbox (made_at);

-- The number that a transaction goes by outside: its own, and behind it when it
-- was, because after a crash the same number may be given once more.  At most
-- 18 digits.
create or replace function pupitre.outbox_id(xid xid8, made_at timestamptz) returns bigint
  language sql immutable parallel safe as $$
  select (($1::text::numeric % 10000000000) * 100000000
    + (extract(epoch from $2) * 1000000)::numeric % 100000000)::bigint
$$;

-- Up to which transaction rows may have been taken out of the outbox: who has
-- not seen that far does not know what it missed.
create table if not exists pupitre.outbox_horizon (
  one boolean not null primary key default true check (one),
  xid xid8 not null
);
insert into pupitre.outbox_horizon (xid) values ('0') on conflict do nothing;

-- The tags, each once and in order; more than 50 of a family become its word,
-- and where the word is there nothing else of the family is needed.
create or replace function pupitre.widen(tags text[]) returns text[]
  language sql immutable parallel safe as $$
  select coalesce(array_agg(distinct case when wide then family else tag end
    order by case when wide then family else tag end), '{}')
  from (
    select tag, family, count(*) over same > 50 or bool_or(tag = family) over same as wide
    from (select distinct tag, split_part(tag, ':', 1) as family
      from unnest($1) as tag where tag is not null) one
    window same as (partition by family)
  ) counted
$$;

-- Add TAGS to what this transaction changes.
create or replace function pupitre.note(what text[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(cardinality(what), 0) = 0 then
    return;
  end if;
  insert into pupitre.outbox as o (xid, tags, cause)
  values (pg_current_xact_id(), pupitre.widen(what),
    left(coalesce(nullif(current_setting('pupitre.cause', true), ''),
      nullif(current_setting('application_name', true), ''), session_user), 100))
  on conflict (xid) do update set tags = pupitre.widen(o.tags || excluded.tags)
    where pupitre.widen(o.tags || excluded.tags) <> o.tags;
  perform pg_notify('pupitre', '');
end
$$;

-- By hand: select pupitre.invalidate('course:42', 'lesson'); 'all' is everything.
create or replace function pupitre.invalidate(variadic tags text[]) returns void
  language sql as $$ select pupitre.note($1) $$;

-- Whoever takes rows out says how far.
create or replace function pupitre.outbox_pruned() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if TG_OP = 'TRUNCATE' then
    update pupitre.outbox_horizon set xid = pg_snapshot_xmax(pg_current_snapshot());
  else
    update pupitre.outbox_horizon h set xid = gone.xid
    from (select max(xid) as xid from rows) gone where gone.xid > h.xid;
  end if;
  return null;
end
$$;
create or replace trigger pupitre_delete after delete on pupitre.outbox
  referencing old table as rows for each statement execute function pupitre.outbox_pruned();
create or replace trigger pupitre_truncate after truncate on pupitre.outbox
  for each statement execute function pupitre.outbox_pruned();

-- Forget what is older than KEEP and what is more than ROWS, at most 10,000 at
-- a time; nothing that a running transaction may be older than.  Returns how
-- many.  Of several that try at once, one does.
create or replace function pupitre.prune_outbox(keep interval, row_limit bigint) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  pruned bigint;
begin
  if not pg_try_advisory_xact_lock(7094881273156013) then
    return 0;
  end if;
  with old as (
    select xid from pupitre.outbox
    where xid < pg_snapshot_xmin(pg_current_snapshot())
      and (made_at < clock_timestamp() - keep
        or xid < (select xid from pupitre.outbox order by xid desc offset row_limit limit 1))
    order by xid limit 10000
  )
  delete from pupitre.outbox o using old where o.xid = old.xid;
  get diagnostics pruned = row_count;
  return pruned;
end
$$;

-- What each table says: the columns that a body may show, the tags of a row,
-- the families of those tags, and the events that matter.
do $do$
declare
  joined text := (select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = to_regclass('"CourseOnUser"'));
  t record;
  event text;
begin
  for t in select * from (values
    ('User', 'id, name, email, image, role',
      -- Lists of participants go by the names of all who are in them.
      $t$ array['user:' || rows.id] || array(select 'course:' || j."courseId" || ':names' from $t$
        || joined || $t$ j where j."userId" = rows.id limit 51) $t$,
      '{user,course}', '{insert,update,delete}'),
    ('sessions', 'id, session_token, user_id, expires',
      $t$ array['session:' || rows.id] $t$, '{session}', '{update,delete}'),
    ('Course', 'id, name, presentation, image, "createdAt", "creatorId", state',
      $t$ array['course:' || id, 'creator:' || "creatorId" || ':courses']
        || case when state = 'PUBLISHED' then array['courses:published'] else '{}' end $t$,
      '{course,courses,creator}', '{insert,update,delete}'),
    ('Lesson', 'id, name, rank, content, state, "createdAt", "courseId"',
      $t$ array['lesson:' || id, 'course:' || "courseId" || ':lessons']
        || case when state = 'PUBLIC' then array['lessons:public'] else '{}' end $t$,
      '{lesson,lessons,course}', '{insert,update,delete}'),
    ('CourseOnUser', 'id, "userId", "courseId", "createdAt", "canceledAt"',
      $t$ array['user:' || "userId" || ':courses', 'course:' || "courseId" || ':users'] $t$,
      '{user,course}', '{insert,update,delete}'),
    ('LessonOnUser', 'id, "userId", "lessonId", progress',
      $t$ array['user:' || "userId" || ':progress'] $t$, '{user}', '{insert,update,delete}')
  ) as facts(name, columns, tags, families, events)
  loop
    -- A statement of thousands of rows is not looked at row by row.
    execute format($f$
      create or replace function pupitre.%1$I() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $body$
      declare
        found text[] := %5$L;
      begin
        if TG_OP = 'UPDATE' then
          if not exists (select from new_rows offset 1000) then
            select array_agg(distinct tag) into found
            from ((select %3$s from old_rows except select %3$s from new_rows)
              union all (select %3$s from new_rows except select %3$s from old_rows)) rows,
              unnest(%4$s) as tag;
          end if;
        elsif TG_OP <> 'TRUNCATE' then
          if not exists (select from rows offset 1000) then
            select array_agg(distinct tag) into found from rows, unnest(%4$s) as tag;
          end if;
        end if;
        perform pupitre.note(found);
        return null;
      end
      $body$ $f$,
      lower(t.name) || '_changed', t.name, t.columns, t.tags, t.families);
    foreach event in array t.events::text[] || array['truncate'] loop
      execute format('create or replace trigger %I after %s on %I %s for each statement'
        ' execute function pupitre.%I()', 'pupitre_' || event, event, t.name,
        case event when 'insert' then 'referencing new table as rows'
          when 'delete' then 'referencing old table as rows'
          when 'update' then 'referencing old table as old_rows new table as new_rows'
          else '' end,
        lower(t.name) || '_changed');
      -- Also where triggers are off for a restore or a replica's changes.
      execute format('alter table %I enable always trigger %I', t.name, 'pupitre_' || event);
    end loop;
  end loop;
end
$do$;
