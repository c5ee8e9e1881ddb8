// What the Node peers share: PostgreSQL, and the two questions to it.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { blake2b } from "@noble/hashes/blake2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import pg from "pg";

const query = (name) => readFileSync(`${process.env.SQL_FOLDER}/${name}.sql`, "utf8");
const sessionText = query("session_find");
const coursesText = query("user_courses");

// PGHOST, PGUSER and PGDATABASE say where.
const pool = new pg.Pool({ max: 10 });

// As pupitre stores its tokens: BLAKE2b-256 with a key (app/auth/session.c).
function stored(token) {
  const key = utf8ToBytes("pupitre stored session");
  return `pupitre$${bytesToHex(blake2b(utf8ToBytes(token), { key, dkLen: 32 }))}`;
}

export function tokenOf(authorization) {
  return authorization?.startsWith("Bearer ") ? authorization.slice(7) : null;
}

// The name of a session in the cache: no token stands there.
export function sessionKey(token) {
  return `session:${createHash("sha256").update(token).digest("base64url")}`;
}

export async function findSession(token) {
  const { rows } = await pool.query({
    name: "session", text: sessionText, values: [stored(token)],
  });
  if (!rows.length) return null;
  const [userId, role, expires] = rows[0].body.split("\t");
  return { userId, role, expires: Number(expires) };
}

export const isCurrent = (session) => session && session.expires > Date.now();

export function coursesQuestion(query, userId) {
  const limit = Number(query.limit ?? 5);
  const page = Number(query.page ?? 1);
  const search = (query.search ?? "").trim();
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) return null;
  if (!Number.isInteger(page) || page < 1 || page > 1000000) return null;
  return {
    key: `user:courses:limit:${limit}:page:${page}:search:${encodeURIComponent(search)}:userId:${userId}`,
    values: [userId, limit, page, search],
  };
}

export async function findCourses(question) {
  const { rows } = await pool.query({
    name: "courses", text: coursesText, values: question.values,
  });
  return rows[0].body;
}
