-- What the queries need, under names that are clearly ours.
create index if not exists pupitre_course_creator
  on "Course" ("creatorId", "createdAt", id);
create index if not exists pupitre_course_published
  on "Course" ("createdAt", id) where state = 'PUBLISHED';
create index if not exists pupitre_lesson_course
  on "Lesson" ("courseId", "createdAt", id);
create index if not exists pupitre_lesson_public
  on "Lesson" ("createdAt", id) where state = 'PUBLIC';
create index if not exists pupitre_enrolment_course
  on "CourseOnUser" ("courseId");
create index if not exists pupitre_progress_lesson
  on "LessonOnUser" ("lessonId");
create index if not exists pupitre_session_user
  on sessions (user_id);

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
    create index if not exists pupitre_course_name on "Course" using gin (name gin_trgm_ops);
    create index if not exists pupitre_lesson_name on "Lesson" using gin (name gin_trgm_ops);
  end if;
exception when undefined_object then
  raise notice 'pg_trgm is in a schema that is not in the search path: no index for searches';
end
$$;
