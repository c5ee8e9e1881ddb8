/* What the page says, in its two languages.  {x} is filled in. */

const en = {
	skip: 'Skip to the numbers', title: 'Cache of pupitre', language: 'Language', theme: 'Colours',
	themeAuto: 'as the system', themeLight: 'light', themeDark: 'dark', instance: 'Instance',
	who: '{instance}, version {version}, {mode} mode, running since {since}',
	health: 'Health', charts: 'The last ten minutes', prefixes: 'By prefix', keys: 'Keys',
	prefixesNote: 'Rates are of the last minute. A prefix that is loaded more often than it is read is marked.',
	hottest: 'Most read', loaded: 'Most loaded', biggest: 'Biggest', invalidations: 'Recent invalidations',
	moreMemory: 'What other memory would hit', curve: 'Hit ratio by size', strategies: 'Other strategies',
	curveWarming: 'The models are still warming up: {n} uses so far.',
	curveReady: 'Estimated from {share} of the keys, {n} uses.',
	factor: 'Memory', bytes: 'Bytes', hitRatio: 'Hit ratio', strategy: 'Strategy', entries: 'Entries',
	actions: 'Actions', invalidate: 'Invalidate', what: 'What', value: 'Which', tag: 'a tag', pattern: 'a key pattern',
	course: 'a course', preview: 'Preview', warm: 'Load the hot keys again', clear: 'Clear everything',
	sure: 'Are you sure?', cancel: 'Cancel', go: 'Do it', prefix: 'Prefix', key: 'Key', reads: 'Reads', loads: 'Loads',
	hits: 'Hits/min', redisHits: 'From Redis/min', misses: 'Loads/min', stale: 'Stale/min', evictions: 'Evicted/min',
	invalidated: 'Invalidated/min', refused: 'Refused stores/min', life: 'Life', time: 'Time', cause: 'Cause', by: 'By', tags: 'Tags',
	causes: { route: 'route', database: 'database', clear: 'clear', operator: 'operator' },
	chartRatio: 'Hit ratio', chartRequests: 'Answers by result, a second', chartLatency: 'Latency, ms',
	chartMemory: 'Memory and Redis, MB', chartEnds: 'Ends of entries, a second',
	memoryHits: 'memory', fromRedis: 'Redis', loadedNow: 'loaded', staleNow: 'stale', errors: '5xx',
	memory: 'memory', redis: 'Redis', evicted: 'evicted', expired: 'expired', changed: 'invalidated', asTable: 'As a table',
	tRequests: 'Requests/s', tRatio: 'Hit ratio', tP99: 'p99', tEntries: 'Entries', tMemory: 'Memory', tFlights: 'Loads under way',
	good: 'Good:', warn: 'Look:', bad: 'Broken:',
	allWell: 'Everything works, nothing waits.',
	pgDown: 'PostgreSQL cannot be reached since {since}. What is cached is answered, marked as stale; writes are refused. Start it, and look at its log.',
	redisDown: 'Redis cannot be reached since {since}. Answers come from memory and PostgreSQL, more slowly. Start it again.',
	redisNone: 'No Redis is configured: the cache is memory alone.',
	listener: 'Changes of the database are not heard of (silent for {s}), so nothing cached is trusted and everything is loaded. Look for a connection that hangs.',
	pool: 'The pool of {size} PostgreSQL connections is too small: callers wait {s} in each second for one ({waiting} wait now). Raise PUPITRE_DB_POOL, or find the slow loads below.',
	queue: 'The queue is at {n} of {limit}; {refused} requests a second are refused.',
	churn: 'The key {key} is invalidated all the time: loaded {loads} times for {reads} reads in the last minute. Latest cause: {cause}.',
	uneven: 'The prefix {prefix} is loaded more often than it is read: {loads} loads and {hits} hits in the last minute.',
	small: 'Memory is too small: it evicts {n} entries a minute. With twice as much the hit ratio would be {ratio}.',
	oldData: 'No answer for {s}: what is shown is old.', ended: 'Your session has ended.', signIn: 'Sign in again',
	forbidden: 'You are no admin any more.',
	sureInvalidate: 'This invalidates {n} entries ({what}).', sureClear: 'This drops all {n} entries, in memory and in Redis.',
	sureWarm: 'This loads up to {n} keys again, {rate} a second at most.',
	done: 'Done: {n} entries.', doneClear: 'Done: everything is cleared.', doneWarm: 'Warming has begun.',
	failed: 'That did not work: {why}', nothing: 'Nothing matches.',
	warming: 'Warming: {done} of {total} keys.', warmed: 'Last warming: {at}, {total} keys ({cause}).',
	empty: 'Nothing yet.', unknown: 'unknown',
};

const fr = {
	skip: 'Aller aux chiffres', title: 'Cache de pupitre', language: 'Langue', theme: 'Couleurs',
	themeAuto: 'comme le système', themeLight: 'claires', themeDark: 'sombres', instance: 'Instance',
	who: '{instance}, version {version}, mode {mode}, en marche depuis {since}',
	health: 'Santé', charts: 'Les dix dernières minutes', prefixes: 'Par préfixe', keys: 'Clés',
	prefixesNote: 'Débits de la dernière minute. Un préfixe chargé plus souvent que lu est marqué.',
	hottest: 'Les plus lues', loaded: 'Les plus chargées', biggest: 'Les plus grosses', invalidations: 'Invalidations récentes',
	moreMemory: 'Avec une autre mémoire', curve: 'Taux de succès selon la taille', strategies: 'Autres stratégies',
	curveWarming: 'Les modèles se remplissent encore : {n} usages jusqu’ici.',
	curveReady: 'Estimé sur {share} des clés, {n} usages.',
	factor: 'Mémoire', bytes: 'Octets', hitRatio: 'Taux de succès', strategy: 'Stratégie', entries: 'Entrées',
	actions: 'Actions', invalidate: 'Invalider', what: 'Quoi', value: 'Lequel', tag: 'une étiquette', pattern: 'un motif de clés',
	course: 'un cours', preview: 'Aperçu', warm: 'Recharger les clés chaudes', clear: 'Tout vider',
	sure: 'Êtes-vous sûr ?', cancel: 'Annuler', go: 'Confirmer', prefix: 'Préfixe', key: 'Clé', reads: 'Lectures', loads: 'Chargements',
	hits: 'Succès/min', redisHits: 'De Redis/min', misses: 'Chargements/min', stale: 'Périmées/min', evictions: 'Évincées/min',
	invalidated: 'Invalidées/min', refused: 'Stockages refusés/min', life: 'Durée de vie', time: 'Heure', cause: 'Cause', by: 'Par', tags: 'Étiquettes',
	causes: { route: 'route', database: 'base de données', clear: 'vidage', operator: 'opérateur' },
	chartRatio: 'Taux de succès', chartRequests: 'Réponses par résultat, par seconde', chartLatency: 'Latence, ms',
	chartMemory: 'Mémoire et Redis, Mo', chartEnds: 'Fins d’entrées, par seconde',
	memoryHits: 'mémoire', fromRedis: 'Redis', loadedNow: 'chargées', staleNow: 'périmées', errors: '5xx',
	memory: 'mémoire', redis: 'Redis', evicted: 'évincées', expired: 'expirées', changed: 'invalidées', asTable: 'En tableau',
	tRequests: 'Requêtes/s', tRatio: 'Taux de succès', tP99: 'p99', tEntries: 'Entrées', tMemory: 'Mémoire', tFlights: 'Chargements en cours',
	good: 'Bien :', warn: 'À voir :', bad: 'En panne :',
	allWell: 'Tout fonctionne, rien n’attend.',
	pgDown: 'PostgreSQL est injoignable depuis {since}. Ce qui est en cache est servi, marqué comme périmé ; les écritures sont refusées. Démarrez-le et lisez son journal.',
	redisDown: 'Redis est injoignable depuis {since}. Les réponses viennent de la mémoire et de PostgreSQL, plus lentement. Redémarrez-le.',
	redisNone: 'Aucun Redis n’est configuré : le cache se réduit à la mémoire.',
	listener: 'Les changements de la base ne sont plus entendus (silence de {s}) : le cache n’est plus cru et tout est chargé. Cherchez une connexion bloquée.',
	pool: 'La réserve de {size} connexions PostgreSQL est trop petite : on attend {s} par seconde ({waiting} attendent). Augmentez PUPITRE_DB_POOL, ou cherchez les chargements lents ci-dessous.',
	queue: 'La file est à {n} sur {limit} ; {refused} requêtes par seconde sont refusées.',
	churn: 'La clé {key} est sans cesse invalidée : {loads} chargements pour {reads} lectures dans la dernière minute. Dernière cause : {cause}.',
	uneven: 'Le préfixe {prefix} est chargé plus souvent que lu : {loads} chargements et {hits} succès dans la dernière minute.',
	small: 'La mémoire est trop petite : {n} entrées évincées par minute. Avec le double, le taux de succès serait de {ratio}.',
	oldData: 'Pas de réponse depuis {s} : ces chiffres sont anciens.', ended: 'Votre session est terminée.', signIn: 'Se reconnecter',
	forbidden: 'Vous n’êtes plus administrateur.',
	sureInvalidate: 'Ceci invalide {n} entrées ({what}).', sureClear: 'Ceci supprime les {n} entrées, en mémoire et dans Redis.',
	sureWarm: 'Ceci recharge jusqu’à {n} clés, {rate} par seconde au plus.',
	done: 'Fait : {n} entrées.', doneClear: 'Fait : tout est vidé.', doneWarm: 'Le préchauffage a commencé.',
	failed: 'Échec : {why}', nothing: 'Rien ne correspond.',
	warming: 'Préchauffage : {done} clés sur {total}.', warmed: 'Dernier préchauffage : {at}, {total} clés ({cause}).',
	empty: 'Rien encore.', unknown: 'inconnue',
};

export const languages = { en, fr };
let now = 'en';

export function setLanguage(name) {
	now = name in languages ? name : 'en';
	document.documentElement.lang = now;
}

export const language = () => now;

export function say(name, values = {}) {
	const text = languages[now][name] ?? name;
	return typeof text !== 'string' ? text
		: text.replace(/\{(\w+)\}/g, (whole, x) => (x in values ? String(values[x]) : whole));
}

const format = (options) => (x) => (Number.isFinite(x) ? new Intl.NumberFormat(now, options).format(x) : '–');
export const whole = (x) => format({ maximumFractionDigits: 0 })(x);
export const rate = (x) => format(x < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: x < 10 ? 1 : 0 })(x);
export const percent = (x) => format({ style: 'percent', maximumFractionDigits: 1 })(x);
export const seconds = (x) => (x < 1 ? `${format({ maximumSignificantDigits: 2 })(x * 1000)} ms`
	: x < 120 ? `${format({ maximumFractionDigits: 1 })(x)} s` : `${format({ maximumFractionDigits: 1 })(x / 60)} min`);
export function size(x) {
	const [by, en1, fr1] = x >= 1048576 ? [1048576, 'MB', 'Mo'] : x >= 1024 ? [1024, 'KB', 'Ko'] : [1, 'B', 'o'];

	return `${format({ maximumFractionDigits: x >= 1024 ? 1 : 0 })(x / by)} ${now === 'fr' ? fr1 : en1}`;
}
export const clock = (ms) => new Intl.DateTimeFormat(now, { timeStyle: 'medium' }).format(ms);
export const day = (iso) => (iso ? new Intl.DateTimeFormat(now, { dateStyle: 'medium', timeStyle: 'medium' })
	.format(new Date(iso)) : say('unknown'));
