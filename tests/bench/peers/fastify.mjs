// Fastify with BentoCache: memory first, Redis second; a process a core.
// Sessions and bodies are cached; a body is kept as text and sent as it is.
import cluster from "node:cluster";
import { chmodSync } from "node:fs";
import compress from "@fastify/compress";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { redisBusDriver, redisDriver } from "bentocache/drivers/redis";
import Fastify from "fastify";
import {
  coursesQuestion, findCourses, findSession, isCurrent, sessionKey, tokenOf,
} from "./school.mjs";

const path = process.env.LISTEN;

async function serve() {
  const connection = { path: process.env.REDIS_SOCKET };
  const cache = new BentoCache({
    default: "both",
    prefix: "bento",
    stores: {
      both: bentostore()
        .useL1Layer(memoryDriver({ maxItems: 10000 }))
        .useL2Layer(redisDriver({ connection }))
        .useBus(redisBusDriver({ connection })),
    },
  });
  const app = Fastify({ logger: false });

  if (process.env.COMPRESS) await app.register(compress, { encodings: ["gzip"], threshold: 1024 });
  app.get("/api/user/courses", async (request, reply) => {
    const token = tokenOf(request.headers.authorization);
    const session = token && await cache.getOrSet({
      key: sessionKey(token), ttl: "5m", factory: () => findSession(token),
    });
    if (!isCurrent(session)) return reply.code(401).send({ code: "unauthenticated" });
    const question = coursesQuestion(request.query, session.userId);
    if (!question) return reply.code(400).send({ code: "bad_request" });
    const body = await cache.getOrSet({
      key: question.key, ttl: "5m", factory: () => findCourses(question),
    });
    return reply.header("Content-Type", "application/json").send(body);
  });
  await app.listen({ path });
  chmodSync(path, 0o666);
}

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  await serve();
}
