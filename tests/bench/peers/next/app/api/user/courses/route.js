// The original's shape: a route handler that asks Redis, parses what it finds,
// and gives it to NextResponse.json.
import Redis from "ioredis";
import { NextResponse } from "next/server";
import {
  coursesQuestion, findCourses, findSession, isCurrent, sessionKey, tokenOf,
} from "../../../../school.mjs";

export const dynamic = "force-dynamic";
export const runtime = "nodejs";

const redis = (globalThis.redis ??= new Redis({
  path: process.env.REDIS_SOCKET, keyPrefix: "next:", lazyConnect: true,
}));

async function cached(key, seconds, load) {
  const found = await redis.get(key);
  if (found !== null) return JSON.parse(found);
  const value = await load();
  if (value !== null) await redis.set(key, JSON.stringify(value), "EX", seconds);
  return value;
}

export async function GET(request) {
  const token = tokenOf(request.headers.get("authorization"));
  const session = token && await cached(sessionKey(token), 300, () => findSession(token));
  if (!isCurrent(session)) {
    return NextResponse.json({ code: "unauthenticated" }, { status: 401 });
  }
  const query = Object.fromEntries(request.nextUrl.searchParams);
  const question = coursesQuestion(query, session.userId);
  if (!question) return NextResponse.json({ code: "bad_request" }, { status: 400 });
  const body = await cached(question.key, 300, async () => JSON.parse(await findCourses(question)));
  return NextResponse.json(body);
}
