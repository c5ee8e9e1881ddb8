<?php
// PHP-FPM: sessions and bodies in Redis (CACHE=redis, a persistent connection)
// or in APCu (CACHE=apcu); a body is kept as text and sent as it is.
declare(strict_types=1);

const LIFE = 300;

interface Cache
{
    public function get(string $key): ?string;
    public function set(string $key, string $value): void;
}

final class RedisCache implements Cache
{
    private Redis $redis;

    public function __construct()
    {
        $this->redis = new Redis();
        $this->redis->pconnect(getenv('REDIS_SOCKET'));
    }

    public function get(string $key): ?string
    {
        $found = $this->redis->get("php:$key");
        return $found === false ? null : $found;
    }

    public function set(string $key, string $value): void
    {
        $this->redis->setex("php:$key", LIFE, $value);
    }
}

final class ApcuCache implements Cache
{
    public function get(string $key): ?string
    {
        $found = apcu_fetch($key, $success);
        return $success ? $found : null;
    }

    public function set(string $key, string $value): void
    {
        apcu_store($key, $value, LIFE);
    }
}

function ask(string $name, array $values): ?string
{
    static $db = null;
    $db ??= new PDO(
        sprintf('pgsql:host=%s;dbname=%s;user=%s', getenv('PGHOST'), getenv('PGDATABASE'), getenv('PGUSER')),
        options: [PDO::ATTR_PERSISTENT => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
    );
    // PDO has ? and :name; each $n is given once for each time it stands there.
    $given = [];
    $text = preg_replace('/^--.*$/m', '', file_get_contents(getenv('SQL_FOLDER') . "/$name.sql"));
    $text = preg_replace_callback("/'[^']*'|\\$(\d)|\?/", function (array $m) use ($values, &$given): string {
        if (!isset($m[1])) {
            return $m[0] === '?' ? '??' : $m[0];
        }
        $given[] = $values[$m[1] - 1];
        return '?';
    }, $text);
    $statement = $db->prepare($text);
    $statement->execute($given);
    $row = $statement->fetch(PDO::FETCH_ASSOC);
    return $row === false ? null : $row['body'];
}

function fail(int $status, string $code): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode(['code' => $code]));
}

$cache = getenv('CACHE') === 'apcu' ? new ApcuCache() : new RedisCache();

$token = $_SERVER['SESSION_TOKEN'] ?? '';
if ($token === '') {
    fail(401, 'unauthenticated');
}
$name = 'session:' . hash('sha256', $token);
$session = $cache->get($name);
if ($session === null) {
    $stored = 'pupitre$' . bin2hex(sodium_crypto_generichash($token, 'pupitre stored session', 32));
    $session = ask('session_find', [$stored]);
    if ($session === null) {
        fail(401, 'unauthenticated');
    }
    $cache->set($name, $session);
}
[$userId, , $expires] = explode("\t", $session);
if ((int) $expires <= microtime(true) * 1000) {
    fail(401, 'unauthenticated');
}

$limit = filter_var($_GET['limit'] ?? 5, FILTER_VALIDATE_INT, ['options' => ['min_range' => 1, 'max_range' => 100]]);
$page = filter_var($_GET['page'] ?? 1, FILTER_VALIDATE_INT, ['options' => ['min_range' => 1, 'max_range' => 1000000]]);
$search = trim($_GET['search'] ?? '');
if ($limit === false || $page === false) {
    fail(400, 'bad_request');
}
$key = "user:courses:limit:$limit:page:$page:search:" . rawurlencode($search) . ":userId:$userId";
$body = $cache->get($key);
if ($body === null) {
    $body = ask('user_courses', [$userId, $limit, $page, $search]);
    $cache->set($key, $body);
}
header('Content-Type: application/json');
echo $body;
