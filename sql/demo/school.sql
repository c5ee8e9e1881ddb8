-- A school to try: two admins, students, courses, lessons, enrolments and
-- progress.  pupitre.demo_size is the number of courses (12).  Everything is
-- made from numbers, so it is the same every time; what is there already
-- stays as it is.  In the numbers below i is a course, n a lesson of it, k a
-- student of it; steps and lengths have no common factor, so the lists are
-- gone through in full.

begin;
set local jit = off;

create temporary table demo on commit drop as
select coalesce(nullif(current_setting('pupitre.demo_size', true), ''), '12')::int as courses,
  timestamp '2024-09-02 08:00:00' as opening,
  array['Algebra', 'Photography', 'French', 'SQL', 'Astronomy', 'JavaScript', 'Watercolour',
    'Chemistry', 'World history', 'Typography', 'Music theory', 'Statistics', 'Botany',
    'Geometry', 'Networks', 'Philosophy', 'Cooking', 'Ecology', 'Creative writing', 'Logic',
    'Python', 'Economics', 'Drawing', 'Public speaking'] as subjects,
  array['%s for beginners', 'A practical guide to %s', '%s', '%s step by step',
    'Understanding %s', '%s at your own pace', '%s in twelve weeks', 'The %s workshop',
    '%s: from the ground up', '%s II'] as forms,
  array['**%s** without fear: short lessons, many examples, and an exercise for each of them.',
    'What %s is for, how it is done, and where to go next.',
    E'You will need *pencil and paper*, and about two hours a week.\n\n- %s explained in plain words\n- exercises with answers\n- a project of your own at the end',
    'An evening course for adults. Nothing is taken for granted: we begin with the words, and end with **a small project** to show. Between the two there are examples, exercises with answers, and a weekly hour for questions, because %s is learnt by doing it, not by reading.',
    '%s, as it is used every day by those who live from it.',
    E'> "I wish that somebody had told me this at school."\n\nA second look at %s, for everybody who once gave it up. Bring your questions: each lesson answers one.']
    as presentations,
  array['Welcome', 'First steps in %s', 'The vocabulary', 'A closer look', 'Worked examples',
    'Common mistakes', 'Tools of the trade', 'Exercises', 'A case study', 'Questions and answers',
    'How professionals do it', 'A small project', 'Looking back', 'Beyond the basics',
    'Prepare for the test', 'Where to go from here'] as parts,
  array['Read the example twice before you try it yourself.',
    'Every definition in this lesson is followed by an example and by something that only resembles it.',
    'Write your answer on paper first, then compare.',
    'In %s, a small case that you know well teaches more than a long rule.',
    'If a word is new to you, look it up in the glossary of this course.',
    'The idea is old; the notation is not.',
    'Try it with your own numbers: the result should not surprise you.',
    'What looks like an exception is often the rule seen from the other side.',
    'This is where most people stop, and where %s begins to be fun.',
    'Take a break here, because the next part builds on all of this.',
    'Explain it to somebody else; if that works, you have understood it.',
    'There is more than one right answer, and a few that are wrong in an interesting way.',
    'Keep what you make today: it is needed again in the last lesson.'] as sentences,
  array['Choose one example from the text and change one thing in it.',
    'Note three questions that this lesson leaves open.',
    'Find a mistake in your solution of last week.',
    'Describe the most important step in one sentence.',
    'Compare your result with that of another student.',
    'Do it again without looking.',
    'Collect five words about %s and put them in order.'] as exercises,
  array['Amina', 'Louis', 'Chloé', 'Mehdi', 'Sofia', 'Hugo', 'Léa', 'Noah', 'Inès', 'Jules',
    'Maya', 'Adam', 'Zoé', 'Paul', 'Nora', 'Théo', 'Yasmine', 'Oscar', 'Clara', 'Ibrahim',
    'Alice', 'Marco', 'Jeanne', 'Viktor'] as first_names,
  array['Benali', 'Martin', 'Dubois', 'Haddad', 'Rossi', 'Petit', 'Moreau', 'Cohen', 'García',
    'Leroy', 'Diallo', 'Schmidt', 'Nguyen', 'Lambert', 'Costa', 'Fournier', 'Kowalski', 'Roux',
    'Traoré', 'Mercier', 'O''Neill', 'Faure', 'Andersson'] as last_names;

create temporary table demo_course on commit drop as
select i, subject, replace(form, '%s', subject) as title,
  replace(presentations[1 + i % 6], '%s', subject) as presentation,
  'https://images.example.org/courses/' || replace(lower(subject), ' ', '-') || '.jpg' as image,
  opening + least(i, 300) * interval '1 day' + i * 37 % 480 * interval '1 minute'
    + i * interval '7 seconds' as made,
  5 + i % 12 as lessons
from demo, generate_series(1, courses) as i,
  lateral (select subjects[1 + (i - 1) % 24] as subject,
    forms[1 + ((i - 1) % 24 + (i - 1) / 24 * 3) % 10] as form) chosen;

create temporary table demo_lesson on commit drop as
select c.i, n, c.subject, c.made + n * interval '11 minutes' as made,
  case when n = 1 or (i * 3 + n) % 13 = 0 then 'PUBLIC' when (i + n) % 9 = 0 then 'HIDDEN'
    else 'PUBLISHED' end::"LessonState" as state
from demo_course c, generate_series(1, c.lessons) as n;

-- 40 students, and more in a school of more than 800 courses.
create temporary table demo_student on commit drop as
select u, first_names[1 + u % 24] || ' ' || last_names[1 + u % 23] as name,
  opening + least(u, 6000) * interval '1 hour' as made
from demo, generate_series(1, greatest(40, courses / 20)) as u;

create temporary table demo_enrolment on commit drop as
select c.i, c.lessons, k, 1 + (c.i * 17 + k) % (select count(*) from demo_student) as u,
  c.made + k * interval '5 hours' as made
from demo_course c, generate_series(1, 6 + c.i * 7 % 20) as k
where c.i % 6 <> 0;

insert into "User" (id, name, email, role, "createdAt", "updatedAt")
select v.id, v.name, v.email, v.role::"Role", opening, opening
from demo, (values
  ('demo-admin', 'Claire Fontaine', 'admin@example.org', 'ADMIN'),
  ('demo-admin-2', 'Karim Nasri', 'admin2@example.org', 'ADMIN'),
  ('demo-student', 'Sam Lefort', 'student@example.org', 'USER')
) as v (id, name, email, role)
on conflict do nothing;

-- A large school has more admins: one more for each hundred courses.
insert into "User" (id, name, email, role, "createdAt", "updatedAt")
select 'demo-admin-' || a, first_names[1 + a % 24] || ' ' || last_names[1 + (a + 11) % 23],
  'admin' || a || '@example.org', 'ADMIN', opening, opening
from demo, generate_series(3, courses / 100) as a
on conflict do nothing;

insert into "User" (id, name, email, image, "createdAt", "updatedAt")
select 'demo-user-' || u, name, 'user' || u || '@example.org',
  case when u % 4 > 0 then 'https://images.example.org/people/' || u || '.jpg' end, made, made
from demo_student
on conflict do nothing;

-- From the 241st on the titles come again, and are told apart by a number.
insert into "Course" (id, name, presentation, image, "createdAt", "creatorId", state)
select 'demo-course-' || i,
  case when i <= 240 then title else left(title, 39 - length(i::text)) || ' ' || i end,
  presentation, image, made,
  case when i > 300 and i % nullif(courses / 100, 0) > 1
      then 'demo-admin-' || 1 + i % nullif(courses / 100, 0)
    when i % 3 = 0 then 'demo-admin-2' else 'demo-admin' end,
  case when i % 6 = 0 then 'DRAFT' else 'PUBLISHED' end::"CourseState"
from demo, demo_course
on conflict do nothing;

insert into "Lesson" (id, name, rank, content, state, "createdAt", "courseId")
select 'demo-lesson-' || i || '-' || n, replace(parts[n], '%s', subject), n::text,
  replace('# ' || parts[n]
    || E'\n\n' || sentences[1 + a % 13] || ' ' || sentences[1 + (a + b) % 13]
    || ' ' || sentences[1 + (a + 2 * b) % 13]
    || E'\n\n## What it is about\n\n' || sentences[1 + (a + 3 * b) % 13]
    || ' **' || sentences[1 + (a + 4 * b) % 13] || '** ' || sentences[1 + (a + 5 * b) % 13]
    || E'\n\n> ' || sentences[1 + (a + 6 * b) % 13]
    || E'\n\n' || sentences[1 + (a + 7 * b) % 13] || ' ' || sentences[1 + (a + 8 * b) % 13]
    || E'\n\n## Your turn\n\n1. ' || exercises[1 + a % 7]
    || E'\n2. ' || exercises[1 + (a + c) % 7]
    || E'\n3. ' || exercises[1 + (a + 2 * c) % 7] || E'\n', '%s', subject),
  state, made, 'demo-course-' || i
from demo, demo_lesson, lateral (
  select i * 3 + n * 5 as a, 1 + (i + n) % 12 as b, 1 + (i + n / 2) % 6 as c) step
on conflict do nothing;

insert into "CourseOnUser" (id, "userId", "courseId", "createdAt", "canceledAt")
select 'demo-join-' || i || '-' || u, 'demo-user-' || u, 'demo-course-' || i, made,
  case when k = 4 and i % 3 = 1 then made + interval '20 days' end
from demo_enrolment
union all
select 'demo-join-' || i || '-student', 'demo-student', 'demo-course-' || i,
  made + interval '1 hour', null
from demo_course
where i in (1, 3, 5)
on conflict do nothing;

insert into "LessonOnUser" (id, "userId", "lessonId", progress, "createdAt")
select 'demo-progress-' || p.i || '-' || l.n || '-' || p.student,
  'demo-' || p.student, 'demo-lesson-' || p.i || '-' || l.n,
  case when l.n < p.reached then 'COMPLETED' else 'IN_PROGRESS' end::"Progress",
  p.made + l.n * interval '1 day'
from (
  select i, 'user-' || u as student, made, 1 + (i + k) % lessons as reached
  from demo_enrolment
  where k % 5 = 1
  union all
  select i, 'student', made, 4
  from demo_course
  where i in (1, 3)
) p join demo_lesson l on l.i = p.i and l.n <= p.reached
where l.state <> 'HIDDEN'
on conflict do nothing;

commit;

analyze "User", "Course", "Lesson", "CourseOnUser", "LessonOnUser";
