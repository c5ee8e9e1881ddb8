-- A school to try: two admins, students, courses, lessons, enrolments and
-- progress.  The number of courses is pupitre.demo_size.  Everything is made
-- from numbers, so it is the same every time, and may be run twice.

begin;

create temporary table demo_word (kind text, n int, word text) on commit drop;
insert into demo_word (kind, n, word)
select kind, (ordinality - 1)::int, word
from (values
  ('subject', array['Algebra', 'Geometry', 'Chemistry', 'Astronomy', 'French', 'Poetry',
    'JavaScript', 'Databases', 'Statistics', 'Music theory', 'Botany', 'World history',
    'Philosophy', 'Watercolour', 'Typography', 'Networks', 'Ecology', 'Logic', 'Cooking',
    'Photography']),
  ('way', array['for beginners', 'in practice', 'step by step', 'from scratch', 'II',
    'workshop', 'at your own pace', 'in twelve weeks']),
  ('part', array['First steps', 'The vocabulary', 'A closer look', 'Exercises', 'Case study',
    'Common mistakes', 'Tools of the trade', 'A small project', 'Review', 'Going further']),
  ('first', array['Amina', 'Louis', 'Chloe', 'Mehdi', 'Sofia', 'Hugo', 'Lea', 'Noah', 'Ines',
    'Jules', 'Maya', 'Adam', 'Zoe', 'Paul', 'Nora', 'Theo']),
  ('last', array['Benali', 'Martin', 'Dubois', 'Haddad', 'Rossi', 'Petit', 'Moreau', 'Cohen',
    'Garcia', 'Leroy', 'Diallo']),
  ('sentence', array[
    'Read the example twice before you try it yourself.',
    'Every definition here is followed by a picture and a counter-example.',
    'Write your answer on paper first, then compare.',
    'The proof is short, but each step of it is used again later.',
    'If a word is new to you, the glossary at the end has it.',
    'Try the exercise with your own numbers; the result should not surprise you.',
    'What looks like an exception is the rule seen from the other side.',
    'Take a break here: the next part builds on all of this.',
    'Explain it to somebody else; if that works, you have understood it.'])
) as list (kind, words), unnest(list.words) with ordinality as word (word, ordinality);

create function pg_temp.word(wanted text, at bigint) returns text language sql stable as $$
  select word from demo_word
  where kind = wanted and n = at % (select count(*) from demo_word where kind = wanted)
$$;

create temporary table demo on commit drop as
select coalesce(nullif(current_setting('pupitre.demo_size', true), ''), '12')::int as courses,
  timestamp '2025-01-06 08:00:00' as opening;

insert into "User" (id, name, email, role, "createdAt", "updatedAt")
select v.id, v.name, v.email, v.role::"Role", opening, opening
from demo, (values
  ('demo-admin', 'Claire Fontaine', 'admin@example.org', 'ADMIN'),
  ('demo-admin-2', 'Karim Nasri', 'admin2@example.org', 'ADMIN'),
  ('demo-student', 'Sam Lefort', 'student@example.org', 'USER')
) as v (id, name, email, role)
on conflict do nothing;

insert into "User" (id, name, email, image, "createdAt", "updatedAt")
select 'demo-user-' || i,
  pg_temp.word('first', i) || ' ' || pg_temp.word('last', i * 7 + i / 16),
  'user' || i || '@example.org', 'https://picsum.example/face/' || i || '.jpg',
  opening + i * interval '1 hour', opening + i * interval '1 hour'
from demo, generate_series(1, 40) as i
on conflict do nothing;

create temporary table demo_lesson (course int, n int) on commit drop;

insert into "Course" (id, name, presentation, image, "createdAt", "creatorId", state)
select 'demo-course-' || i,
  left(w.subject || ' ' || w.way, 34) || case when i > 20 then ' ' || i else '' end,
  '**' || w.subject || '** ' || w.way || ': what it is for, how it is done, and where to go next.',
  'https://picsum.example/course/' || i || '.jpg',
  opening + i * interval '1 day 37 minutes',
  case when i % 4 = 0 then 'demo-admin-2' else 'demo-admin' end,
  case when i % 7 = 0 then 'DRAFT' else 'PUBLISHED' end::"CourseState"
from demo, generate_series(1, courses) as i, lateral (
  select s.word as subject, y.word as way from demo_word s, demo_word y
  where s.kind = 'subject' and s.n = (i - 1) % 20 and y.kind = 'way' and y.n = (i - 1 + i / 20) % 8
) w
on conflict do nothing;

insert into demo_lesson
select i, n from demo, generate_series(1, courses) as i, generate_series(1, 6 + i % 11) as n;

insert into "Lesson" (id, name, rank, content, state, "createdAt", "courseId")
select 'demo-lesson-' || l.course || '-' || l.n,
  p.word || ' ' || l.n, l.n::text,
  '# ' || p.word || E'\n\n' || a.word || ' ' || b.word || E'\n\n- ' || c.word || E'\n- '
    || d.word || E'\n\n> ' || e.word || E'\n',
  case when l.n = 1 then 'PUBLIC' when (l.course + l.n) % 9 = 0 then 'HIDDEN'
    else 'PUBLISHED' end::"LessonState",
  opening + l.course * interval '1 day 37 minutes' + l.n * interval '11 minutes',
  'demo-course-' || l.course
from demo, demo_lesson l
join demo_word p on p.kind = 'part' and p.n = (l.n - 1) % 10
join demo_word a on a.kind = 'sentence' and a.n = (l.course + l.n) % 9
join demo_word b on b.kind = 'sentence' and b.n = (l.course + l.n * 2 + 1) % 9
join demo_word c on c.kind = 'sentence' and c.n = (l.course + l.n * 4 + 2) % 9
join demo_word d on d.kind = 'sentence' and d.n = (l.course * 5 + l.n + 3) % 9
join demo_word e on e.kind = 'sentence' and e.n = (l.course * 7 + l.n + 5) % 9
on conflict do nothing;

insert into "CourseOnUser" (id, "userId", "courseId", "createdAt")
select 'demo-join-' || i || '-' || u, 'demo-user-' || u, 'demo-course-' || i,
  opening + i * interval '1 day 37 minutes' + u * interval '5 hours'
from demo, generate_series(1, courses) as i, generate_series(1, 40) as u
where i % 7 <> 0 and (i * 13 + u * 7) % 5 < 2
on conflict do nothing;

insert into "CourseOnUser" (id, "userId", "courseId", "createdAt")
select 'demo-join-' || i || '-student', 'demo-student', 'demo-course-' || i,
  opening + i * interval '1 day 37 minutes'
from demo, generate_series(1, least(courses, 5), 2) as i
on conflict do nothing;

insert into "LessonOnUser" (id, "userId", "lessonId", progress, "createdAt")
select 'demo-progress-' || l.course || '-' || l.n, 'demo-student',
  'demo-lesson-' || l.course || '-' || l.n,
  case when l.n < 4 then 'COMPLETED' else 'IN_PROGRESS' end::"Progress",
  opening + l.course * interval '1 day 37 minutes' + l.n * interval '1 day'
from demo, demo_lesson l
where l.course in (1, 3) and l.n <= 4
on conflict do nothing;

commit;

analyze;
