-- What the queries need, under names that are clearly ours.  Columns of free
-- length stay out of the btrees: a name too long for one could not be saved.

-- Lists, in their order.
create index if not exists pupitre_course_creator
  on "Course" ("creatorId", "createdAt", id);
create index if not exists pupitre_course_published
  on "Course" ("createdAt", id) where state = 'PUBLISHED';
create index if not exists pupitre_lesson_course
  on "Lesson" ("courseId", "createdAt", id);
create index if not exists pupitre_lesson_public
  on "Lesson" ("createdAt", id) where state = 'PUBLIC';

-- Who has joined: counted from the index alone.  The way from a user to his
-- courses and his progress is there already, in Prisma's unique indexes.
create index if not exists pupitre_enrolment_course
  on "CourseOnUser" ("courseId", "canceledAt");

-- E-mail addresses without regard to case.
create index if not exists pupitre_user_email
  on "User" (lower(email));

-- What is deleted with a row must be found from it.
create index if not exists pupitre_progress_lesson
  on "LessonOnUser" ("lessonId");
create index if not exists pupitre_session_user
  on sessions (user_id);
create index if not exists pupitre_account_user
  on "Account" ("userId");

-- "Contains" is served by trigrams.  The extension is trusted, but a role
-- without CREATE on the database may not have it: then a search reads the
-- rows of its list, and is slower, not wrong.
do $$
begin
  create extension if not exists pg_trgm;
exception when insufficient_privilege or undefined_file or feature_not_supported then
  raise notice 'pg_trgm is not to be had: searches go without an index';
end
$$;

do $$
begin
  if exists (select from pg_extension where extname = 'pg_trgm') then
    create index if not exists pupitre_course_name
      on "Course" using gin (name gin_trgm_ops) where state = 'PUBLISHED';
    create index if not exists pupitre_lesson_name
      on "Lesson" using gin (name gin_trgm_ops) where state = 'PUBLIC';
  end if;
exception when undefined_object then
  raise notice 'pg_trgm is in a schema that is not in the search path: no index for searches';
end
$$;
