/* What the page says, in its two languages: see say(). */

const en = {
	skip: 'Skip to the numbers', title: 'Cache of pupitre', language: 'Language', theme: 'Colours',
	themeAuto: 'as the system', themeLight: 'light', themeDark: 'dark', instance: 'Instance',
	who: '{instance}, version {version}, {mode} mode, running since {since}',
	health: 'Health', charts: 'The last ten minutes', prefixes: 'By prefix', keys: 'Keys',
	prefixesNote: 'Counted over the last {s}. A prefix that is loaded more often than it hits is marked ▲.',
	prefixesNoteStart: 'Counted since the start. A prefix that is loaded more often than it hits is marked ▲.',
	hottest: 'Most read', loaded: 'Most often loaded', biggest: 'Biggest', invalidations: 'Recent invalidations',
	moreMemory: 'With more or less memory', curve: 'Hit ratio by size', strategies: 'Other strategies',
	curveWarming: 'Too early to tell: the models have seen {n} {n:use|uses} so far.',
	curveReady: 'Memory alone answers {now} of what is asked for. With half of it that would be {half}, with twice as much {twice}, with four times {four}. Estimated from {share} of the keys and {n} {n:use|uses}.',
	factor: 'Memory', bytes: 'Size', hitRatio: 'Hit ratio', strategy: 'Strategy', entries: 'Entries',
	actions: 'Actions', invalidate: 'Invalidate', what: 'What', value: 'Value', tag: 'a tag', pattern: 'a key pattern',
	course: 'a course', preview: 'Preview', warm: 'Load the hot keys again', clear: 'Clear everything',
	hints: { tag: 'For example course:ID: all entries that bear it.', pattern: 'For example user:courses:*: all keys that match; * stands for anything.', course: 'Its id: all entries about it.' },
	sure: 'Are you sure?', cancel: 'Cancel', go: 'Do it', prefix: 'Prefix', key: 'Key', reads: 'Reads', loads: 'Loads',
	hits: 'Memory hits', redisHits: 'Redis hits', misses: 'Loads', stale: 'Served late', evictions: 'Evicted',
	invalidated: 'Invalidated', refused: 'Refused stores', life: 'Life', time: 'Time', cause: 'Cause', by: 'By', tags: 'Tags',
	causes: { route: 'route', database: 'database', clear: 'clear', operator: 'operator' },
	chartRatio: 'Hit ratio', chartRequests: 'Cached answers by result, a second', chartLatency: 'Latency, ms',
	chartMemory: 'Memory and Redis, MB', chartEnds: 'Ends of entries, a second',
	memoryHits: 'memory', fromRedis: 'Redis', loadedNow: 'loaded', sharedNow: 'shared', staleNow: 'served late', errors: '5xx',
	memory: 'memory', redis: 'Redis', evicted: 'evicted', expired: 'expired', changed: 'invalidated', asTable: 'As a table',
	tRequests: 'Requests/s', tRatio: 'Hit ratio', tP99: '99% under (p99)', tEntries: 'Entries', tMemory: 'Memory', tFlights: 'Loads under way',
	good: 'Good:', warn: 'Look:', bad: 'Broken:',
	allWell: 'Everything works, nothing waits.',
	pgDown: 'PostgreSQL cannot be reached since {since}. What is cached is answered, marked as stale; the rest and all writes are refused. Start it, and look at its log.',
	redisDown: 'Redis cannot be reached since {since}. Answers come from memory and PostgreSQL, more slowly. Start it again; if it does run, it answered too late: look at its log and at the load of its machine.',
	redisNone: 'No Redis is configured: the cache is memory alone.',
	listener: 'Changes in the database are not heard of (silent for {s}), so nothing cached is trusted and everything is loaded. Look for a connection that hangs.',
	pool: 'The pool of {size} PostgreSQL {size:connection|connections} is too small: in the last 30 s up to {n} {n:caller|callers} at a time waited for one ({waiting} now). Raise PUPITRE_DB_POOL; {share} of the time of loads goes to {prefix}.',
	poolHeld: 'Slow loads hold {size:the one PostgreSQL connection|all PostgreSQL connections}: in the last 30 s up to {n} {n:caller|callers} at a time waited for one ({waiting} now). Make the loads fast first; only then think of PUPITRE_DB_POOL, now {size}.',
	queue: 'The queue is at {n} of {limit}; {refused} requests a second are refused. Look for slow loads, or raise PUPITRE_WORKERS.',
	churn: 'The key {key} is invalidated all the time: loaded {loads} {loads:time|times} for {reads} {reads:read|reads} in the last {s}. Latest cause: {cause}, by the tag {tag}.{others} {advice}',
	churnOthers: 'So {n:is|are} {n} {n:other key|other keys} with it.',
	churnAdvice: {
		route: 'Find the client that calls it so often.',
		database: 'In brackets is its application_name: find what it changes so often, and change only what differs.',
		operator: 'Somebody invalidates it by hand or by a script: that can stop, changes are heard of without it.',
		clear: 'Somebody clears the cache all the time: that can stop, changes are heard of without it.',
	},
	cleared: 'Everything was cleared {n} {n:time|times} in the last minute, so PostgreSQL loads it all again and again. Find the script or the person that does it; changes are heard of without it.',
	reloaded: 'The key {key} is loaded all the time: {loads} {loads:time|times} for {reads} {reads:read|reads} in the last {s}, and no known change explains it.{others} See whether its prefix evicts, expires or fails below.',
	uneven: 'The prefix {prefix} is loaded more often than it hits: {loads} {loads:load|loads} and {hits} {hits:hit|hits} in the last {s}. {why}',
	unevenWhy: {
		changed: 'Its entries are invalidated before they are read again: see by what under Recent invalidations.',
		evicted: 'Its entries are evicted before they are read again: see what more memory would do.',
		expired: 'Its entries end before they are read again: their life may be too short, see Other strategies.',
		fresh: 'Nearly each key is new: they are hardly ever asked for twice. Look for a client that walks through everything, or a parameter that always differs.',
	},
	small: 'Memory is too small: {n} {n:entry|entries} evicted in the last {s}, and it hits {now}. With {factor} times as much (PUPITRE_MEMORY_BYTES={bytes}) it would hit {ratio}; still more gains next to nothing.',
	oldData: 'No answer since {at}: what is shown is old.', ended: 'Your session has ended.', signIn: 'Sign in again',
	oldSilent: 'The server cannot be reached: look whether nginx runs, and at your network.',
	oldRefused: 'nginx answers {status}: look whether pupitre runs, and at its log.',
	forbidden: 'You are no admin any more.',
	sureInvalidate: 'This invalidates {n} {n:entry|entries} ({what}).', sureClear: 'This drops {n:{n} entry|all {n} entries}, in memory and in Redis. PostgreSQL has more to do until they are loaded again.',
	sureWarm: 'This loads up to {n} {n:key|keys} again, {rate} a second at most.',
	done: 'Done: {n} {n:entry|entries}.', doneClear: 'Done: everything is cleared.', doneWarm: 'Warming has begun.',
	failed: 'That did not work: {why}', failures: 'Errors', nothing: 'Nothing matches.',
	warming: 'Warming: {done} of {total} {total:key|keys}.', warmed: 'Last warming: {at}, {total} {total:key|keys} ({cause}).',
	empty: 'nothing yet', unknown: 'unknown',
	collapsed: 'Shared loads',
	negative: 'Cached “not found”',
	expiries: 'Expired',
	stores: 'Stores', loadedAhead: 'Loaded ahead',
	span: 'Counts',
	spanMinute: 'of the last minute',
	spanAll: 'since the start',
	latency: 'Latency of the last minute',
	byRoute: 'Requests by route',
	byLevel: 'Loads and Redis look-ups by prefix',
	routeName: 'Route',
	noRoute: 'no such route',
	requests: 'Requests',
	fromMemory: 'From memory',
	hitP50: 'p50 from memory',
	hitP99: 'p99 from memory',
	lookups: 'Redis look-ups',
	redisP50: 'p50 of look-ups',
	redisP99: 'p99 of look-ups',
	recentReads: 'Reads of late',
	recentLoads: 'Loads of late',
	latestCause: 'Latest cause',
	tag1: 'Tag',
	difference: 'Difference in points',
	chartCurve: 'Hit ratio of memory by its size',
	strategyNames: { sieve: 'SIEVE, as it is', lru: 'LRU', 'ttl*2': 'lives twice as long', 'ttl/2': 'lives half as long' },
	tP50: 'Median (p50)',
	of: '{a} of {b}',
	pause: 'Pause',
	paused: 'Paused at {at}: these numbers stand still.',
	parts: 'Each part',
	postgres: 'PostgreSQL',
	poolName: 'Connections',
	listenerName: 'Change listener',
	workersName: 'Workers',
	state_good: 'Well.',
	state_warn: 'Look:',
	state_bad: 'Broken.',
	state_note: 'Not used.',
	ofPostgres: 'Reachable since {since}. {reads} reads and {commits} writes a second; {failures} {failures:connection|connections} lost or refused so far.',
	ofPostgresDown: 'Not reachable since {since}.',
	ofPool: '{busy} of {size} {busy:is|are} busy, {waiting} {waiting:caller waits|callers wait}. On average {n} waited over the last minute; {timeouts} got none in time so far.',
	ofNoRedis: 'None is configured: memory is all there is.',
	ofRedis: 'Reachable since {since}, its circuit is closed; the latest call took {last}. {keys} {keys:entry|entries} of ours, {bytes}. In all it uses {used} of {max} ({policy}) and has evicted {evicted} {evicted:key|keys} since it started.',
	ofRedisDown: 'Not reachable since {since}.',
	ofRedisOpen: 'Not reachable since {since}: its circuit is open, so it is only tried now and then.',
	noBound: 'no bound',
	ever: 'the start',
	heardNone: 'No change in the last minute.',
	heardSome: '{n} {n:change|changes} in the last minute: half were heard within {p50}, 99% within {p99}.',
	ofListener: 'Last heard {silent} ago. {heard} The outbox has about {rows} {rows:row|rows}; changes were missed {lost} {lost:time|times}.',
	ofListenerDown: 'Silent for {silent}, because PostgreSQL cannot be reached.',
	ofListenerSilent: 'Silent for {silent}: nothing cached is trusted. The outbox has about {rows} {rows:row|rows}; changes were missed {lost} {lost:time|times}.',
	ofWorkers: '{busy} of {threads} {busy:is|are} busy; {queue} {queue:job waits|jobs wait} of {limit} that may; {refused} {refused:was|were} refused so far.',
	slowLoads: '{n} of {of} loads took longer than {limit} in the last {s}, the slowest 1% {p99} or more: {prefix}. Look in pg_stat_activity for locks (wait_event_type), then at the {count:query|queries} in sql/queries.',
	redisFull: 'Redis is full: it has evicted {n} {n:key|keys} in the last {s}, at {used} of {max}. Raise its maxmemory.',
	redisPolicy: 'When Redis is full, its policy {policy} drops the numbers of the tags or refuses writes, and then everything in it is worthless. Set maxmemory-policy volatile-lru.',
	lost: 'Changes were missed in the last minute, and the cache was given up. The log says why; PUPITRE_OUTBOX_KEEP_S is how long it may be away.',
	failing: '{share} of the answers are 5xx ({rate} a second), most of them {route}. The log has a line for each.',
	sureAtLeast: 'This invalidates at least {n} {n:entry|entries} ({what}); Redis has more than were looked at.',
	sureUnknown: 'Nothing that this instance knows of depends on it ({what}); others may have something in memory. Invalidate it all the same?',
	warmCauses: { start: 'after the start', clear: 'after a clear', operator: 'by an operator' },
	words: 'What the words mean',
	glossary: [
		['Hit, load', 'A hit is answered from memory or Redis, or shares a load that is under way; a load asks PostgreSQL. The hit ratio is hits of both. Sessions and permissions are looked up too, but count only in their own lines.'],
		['Prefix', 'The beginning of a key, one for each kind of answer; “bounded” and other modes say how fresh an answer must be.'],
		['Tag', 'What an entry depends on, such as course:ID. When that changes, all entries that bear the tag are invalidated.'],
		['Served late', 'Past its life: while it is loaded anew, or because PostgreSQL is down.'],
		['Refused store', 'Loaded, but not kept, because it changed in the meantime.'],
		['Evicted, expired, invalidated', 'Dropped for want of room; at the end of its life; because of a change.'],
		['p50, p95, p99', 'Half, 95% and 99% took no longer.'],
		['Change listener, outbox', 'Each change in the database is written to the outbox, and the listener hears of it.'],
		['Circuit', 'While it is open, Redis is left alone for a while, because it failed.'],
		['Of late', 'The last minutes, where each one weighs half of the next.'],
		['SIEVE, LRU', 'Two ways to choose what is evicted.'],
	],
};
const fr = {
	skip: 'Aller aux chiffres', title: 'Cache de pupitre', language: 'Langue', theme: 'Couleurs',
	themeAuto: 'comme le système', themeLight: 'claires', themeDark: 'sombres', instance: 'Instance',
	who: '{instance}, version {version}, mode {mode}, en marche depuis {since}',
	health: 'Santé', charts: 'Les dix dernières minutes', prefixes: 'Par préfixe', keys: 'Clés',
	prefixesNote: 'Compté sur {s}. Un préfixe qui a plus de chargements que de succès est marqué ▲.',
	prefixesNoteStart: 'Compté depuis le démarrage. Un préfixe qui a plus de chargements que de succès est marqué ▲.',
	hottest: 'Les plus lues', loaded: 'Les plus souvent chargées', biggest: 'Les plus grosses', invalidations: 'Invalidations récentes',
	moreMemory: 'Avec plus ou moins de mémoire', curve: 'Taux de succès selon la taille', strategies: 'Autres stratégies',
	curveWarming: 'Trop tôt pour le dire : les modèles ont vu {n} {n:usage|usages} jusqu’ici.',
	curveReady: 'La mémoire seule répond à {now} des demandes. Ce serait {half} avec la moitié, {twice} avec le double, {four} avec le quadruple. Estimé sur {share} des clés et {n} {n:usage|usages}.',
	factor: 'Mémoire', bytes: 'Taille', hitRatio: 'Taux de succès', strategy: 'Stratégie', entries: 'Entrées',
	actions: 'Actions', invalidate: 'Invalider', what: 'Quoi', value: 'Valeur', tag: 'une étiquette', pattern: 'un motif de clés',
	course: 'un cours', preview: 'Aperçu', warm: 'Recharger les clés chaudes', clear: 'Tout vider',
	hints: { tag: 'Par exemple course:ID : toutes les entrées qui la portent.', pattern: 'Par exemple user:courses:* : toutes les clés qui correspondent ; * remplace n’importe quoi.', course: 'Son identifiant : toutes les entrées qui en parlent.' },
	sure: 'Êtes-vous sûr ?', cancel: 'Annuler', go: 'Confirmer', prefix: 'Préfixe', key: 'Clé', reads: 'Lectures', loads: 'Chargements',
	hits: 'Succès en mémoire', redisHits: 'Succès dans Redis', misses: 'Chargements', stale: 'Servies en retard', evictions: 'Évincées',
	invalidated: 'Invalidées', refused: 'Stockages refusés', life: 'Durée de vie', time: 'Heure', cause: 'Cause', by: 'Par', tags: 'Étiquettes',
	causes: { route: 'route', database: 'base de données', clear: 'vidage', operator: 'opérateur' },
	chartRatio: 'Taux de succès', chartRequests: 'Réponses du cache par résultat, par seconde', chartLatency: 'Latence, ms',
	chartMemory: 'Mémoire et Redis, Mo', chartEnds: 'Fins d’entrées, par seconde',
	memoryHits: 'mémoire', fromRedis: 'Redis', loadedNow: 'chargées', sharedNow: 'partagées', staleNow: 'servies en retard', errors: '5xx',
	memory: 'mémoire', redis: 'Redis', evicted: 'évincées', expired: 'expirées', changed: 'invalidées', asTable: 'En tableau',
	tRequests: 'Requêtes/s', tRatio: 'Taux de succès', tP99: '99 % sous (p99)', tEntries: 'Entrées', tMemory: 'Mémoire', tFlights: 'Chargements en cours',
	good: 'Bien :', warn: 'À voir :', bad: 'En panne :',
	allWell: 'Tout fonctionne, rien n’attend.',
	pgDown: 'PostgreSQL est injoignable depuis {since}. Ce qui est en cache est servi, marqué comme périmé ; le reste et toutes les écritures sont refusés. Démarrez-le et lisez son journal.',
	redisDown: 'Redis est injoignable depuis {since}. Les réponses viennent de la mémoire et de PostgreSQL, plus lentement. Redémarrez-le ; s’il tourne, il a répondu trop tard : lisez son journal et voyez la charge de sa machine.',
	redisNone: 'Aucun Redis n’est configuré : le cache se réduit à la mémoire.',
	listener: 'Les changements de la base ne sont plus reçus (silence depuis {s}) : plus rien en cache n’est jugé fiable et tout est rechargé. Cherchez une connexion bloquée.',
	pool: 'La réserve de {size} {size:connexion|connexions} PostgreSQL est trop petite : ces 30 dernières secondes, jusqu’à {n} {n:appel|appels} à la fois en {n:attendait|attendaient} une ({waiting} en ce moment). Augmentez PUPITRE_DB_POOL ; {share} du temps des chargements va à {prefix}.',
	poolHeld: 'Des chargements lents occupent {size:la seule connexion|toutes les connexions} PostgreSQL : ces 30 dernières secondes, jusqu’à {n} {n:appel|appels} à la fois en {n:attendait|attendaient} une ({waiting} en ce moment). Accélérez d’abord les chargements ; ne pensez qu’ensuite à PUPITRE_DB_POOL, qui vaut {size}.',
	queue: 'La file est à {n} sur {limit} ; {refused} requêtes par seconde sont refusées. Cherchez des chargements lents, ou augmentez PUPITRE_WORKERS.',
	churn: 'La clé {key} est sans cesse invalidée : {loads} {loads:chargement|chargements} pour {reads} {reads:lecture|lectures} en {s}. Dernière cause : {cause}, par l’étiquette {tag}.{others} {advice}',
	churnOthers: 'De même {n} {n:autre clé|autres clés} qui la {n:porte|portent}.',
	churnAdvice: {
		route: 'Trouvez le client qui l’appelle si souvent.',
		database: 'Entre parenthèses, son application_name : trouvez ce qu’elle modifie si souvent, et n’écrivez que ce qui change.',
		operator: 'Quelqu’un l’invalide à la main ou par un script : c’est inutile, les changements sont reçus sans cela.',
		clear: 'Quelqu’un vide sans cesse le cache : c’est inutile, les changements sont reçus sans cela.',
	},
	cleared: 'Tout a été vidé {n} fois dans la dernière minute : PostgreSQL recharge tout sans cesse. Trouvez le script ou la personne qui le fait ; les changements sont reçus sans cela.',
	reloaded: 'La clé {key} est sans cesse rechargée : {loads} {loads:chargement|chargements} pour {reads} {reads:lecture|lectures} en {s}, sans changement connu qui l’explique.{others} Voyez plus bas si son préfixe évince, expire ou échoue.',
	uneven: 'Le préfixe {prefix} a plus de chargements que de succès : {loads} {loads:chargement|chargements} et {hits} {hits:succès|succès} en {s}. {why}',
	unevenWhy: {
		changed: 'Ses entrées sont invalidées avant d’être relues : voyez par quoi sous Invalidations récentes.',
		evicted: 'Ses entrées sont évincées avant d’être relues : voyez ce que donnerait plus de mémoire.',
		expired: 'Ses entrées expirent avant d’être relues : leur durée de vie est peut-être trop courte, voyez Autres stratégies.',
		fresh: 'Presque chaque clé est nouvelle : elles ne sont guère demandées deux fois. Cherchez un client qui parcourt tout, ou un paramètre toujours différent.',
	},
	small: 'La mémoire est trop petite : {n} {n:entrée évincée|entrées évincées} en {s}, et {now} de succès. Avec {factor} fois plus (PUPITRE_MEMORY_BYTES={bytes}) ce serait {ratio} ; davantage n’apporterait presque rien.',
	oldData: 'Pas de réponse depuis {at} : ces chiffres sont anciens.', ended: 'Votre session est terminée.', signIn: 'Se reconnecter',
	oldSilent: 'Le serveur est injoignable : vérifiez que nginx tourne, et votre réseau.',
	oldRefused: 'nginx répond {status} : vérifiez que pupitre tourne, et lisez son journal.',
	forbidden: 'Vous n’êtes plus administrateur.',
	sureInvalidate: 'Ceci invalide {n} {n:entrée|entrées} ({what}).', sureClear: 'Ceci supprime {n:{n} entrée|les {n} entrées}, en mémoire et dans Redis. PostgreSQL aura plus à faire jusqu’à ce qu’elles soient rechargées.',
	sureWarm: 'Ceci recharge jusqu’à {n} {n:clé|clés}, {rate} par seconde au plus.',
	done: 'Fait : {n} {n:entrée|entrées}.', doneClear: 'Fait : tout est vidé.', doneWarm: 'Le préchauffage a commencé.',
	failed: 'Échec : {why}', failures: 'Erreurs', nothing: 'Rien ne correspond.',
	warming: 'Préchauffage : {done} sur {total} {total:clé|clés}.', warmed: 'Dernier préchauffage : {at}, {total} {total:clé|clés} ({cause}).',
	empty: 'rien encore', unknown: 'inconnue',
	collapsed: 'Chargements partagés',
	negative: '« Introuvable » en cache',
	expiries: 'Expirées',
	stores: 'Stockages', loadedAhead: 'Chargées d’avance',
	span: 'Compter',
	spanMinute: 'sur la dernière minute',
	spanAll: 'depuis le démarrage',
	latency: 'Latence de la dernière minute',
	byRoute: 'Requêtes par route',
	byLevel: 'Chargements et lectures de Redis par préfixe',
	routeName: 'Route',
	noRoute: 'aucune route',
	requests: 'Requêtes',
	fromMemory: 'Servies par la mémoire',
	hitP50: 'p50 en mémoire',
	hitP99: 'p99 en mémoire',
	lookups: 'Lectures de Redis',
	redisP50: 'p50 des lectures',
	redisP99: 'p99 des lectures',
	recentReads: 'Lectures récentes',
	recentLoads: 'Chargements récents',
	latestCause: 'Dernière cause',
	tag1: 'Étiquette',
	difference: 'Écart en points',
	chartCurve: 'Taux de succès de la mémoire selon sa taille',
	strategyNames: { sieve: 'SIEVE, comme à présent', lru: 'LRU', 'ttl*2': 'durées de vie doublées', 'ttl/2': 'durées de vie divisées par deux' },
	tP50: 'Médiane (p50)',
	of: '{a} sur {b}',
	pause: 'Pause',
	paused: 'En pause depuis {at} : ces chiffres n’avancent plus.',
	parts: 'Chaque partie',
	postgres: 'PostgreSQL',
	poolName: 'Connexions',
	listenerName: 'Écoute des changements',
	workersName: 'Fils d’exécution',
	state_good: 'Bien.',
	state_warn: 'À voir :',
	state_bad: 'En panne.',
	state_note: 'Inutilisé.',
	ofPostgres: 'Joignable depuis {since}. {reads} lectures et {commits} écritures par seconde ; {failures} {failures:connexion perdue ou refusée|connexions perdues ou refusées} jusqu’ici.',
	ofPostgresDown: 'Injoignable depuis {since}.',
	ofPool: '{busy} sur {size} {busy:est occupée|sont occupées}, {waiting} {waiting:appel attend|appels attendent}. En moyenne, {n} en attente sur la dernière minute ; {timeouts} {timeouts:n’en a pas eu|n’en ont pas eu} à temps jusqu’ici.',
	ofNoRedis: 'Aucun n’est configuré : tout est en mémoire.',
	ofRedis: 'Joignable depuis {since}, son circuit est fermé ; le dernier appel a pris {last}. {keys} {keys:entrée|entrées} à nous, {bytes}. En tout, il occupe {used} sur {max} ({policy}) et a évincé {evicted} {evicted:clé|clés} depuis son démarrage.',
	ofRedisDown: 'Injoignable depuis {since}.',
	ofRedisOpen: 'Injoignable depuis {since} : son circuit est ouvert, on ne l’essaie que de temps en temps.',
	noBound: 'sans limite',
	ever: 'le démarrage',
	heardNone: 'Aucun changement dans la dernière minute.',
	heardSome: '{n} {n:changement|changements} dans la dernière minute : la moitié reçus en moins de {p50}, 99 % en moins de {p99}.',
	ofListener: 'Entendue il y a {silent}. {heard} La boîte d’envoi a environ {rows} {rows:ligne|lignes} ; des changements ont été manqués {lost} fois.',
	ofListenerDown: 'Silence depuis {silent}, parce que PostgreSQL est injoignable.',
	ofListenerSilent: 'Silence depuis {silent} : plus rien en cache n’est jugé fiable. La boîte d’envoi a environ {rows} {rows:ligne|lignes} ; des changements ont été manqués {lost} fois.',
	ofWorkers: '{busy} sur {threads} {busy:est occupé|sont occupés} ; {queue} {queue:tâche attend|tâches attendent} sur {limit} permises ; {refused} {refused:a été refusée|ont été refusées} jusqu’ici.',
	slowLoads: '{n} chargements sur {of} ont pris plus de {limit} en {s}, le 1 % le plus lent {p99} ou plus : {prefix}. Cherchez des verrous dans pg_stat_activity (wait_event_type), puis examinez {count:la requête|les requêtes} dans sql/queries.',
	redisFull: 'Redis est plein : il a évincé {n} {n:clé|clés} en {s}, à {used} sur {max}. Augmentez son maxmemory.',
	redisPolicy: 'Quand Redis est plein, sa règle {policy} supprime les numéros des étiquettes ou refuse les écritures, et alors plus rien de ce qu’il contient ne vaut. Réglez maxmemory-policy volatile-lru.',
	lost: 'Des changements ont été manqués dans la dernière minute, et le cache a été abandonné. Le journal dit pourquoi ; PUPITRE_OUTBOX_KEEP_S dit combien de temps on peut s’absenter.',
	failing: '{share} des réponses sont des 5xx ({rate} par seconde), surtout {route}. Le journal a une ligne pour chacune.',
	sureAtLeast: 'Ceci invalide au moins {n} {n:entrée|entrées} ({what}) ; Redis en a plus qu’on n’en a regardé.',
	sureUnknown: 'Rien de ce que cette instance connaît n’en dépend ({what}) ; d’autres peuvent en avoir en mémoire. Invalider quand même ?',
	warmCauses: { start: 'après le démarrage', clear: 'après un vidage', operator: 'par un opérateur' },
	words: 'Que veulent dire ces mots ?',
	glossary: [
		['Succès, chargement', 'Un succès vient de la mémoire ou de Redis, ou partage un chargement en cours ; un chargement interroge PostgreSQL. Le taux de succès est la part des succès. Les sessions et les droits sont lus aussi, mais ne comptent que sur leurs propres lignes.'],
		['Préfixe', 'Le début d’une clé, un par sorte de réponse ; le mode (« bounded »…) dit à quel point une réponse doit être fraîche.'],
		['Étiquette', 'Ce dont dépend une entrée, par exemple course:ID. Quand cela change, toutes les entrées qui la portent sont invalidées.'],
		['Servie en retard', 'Au-delà de sa durée de vie : pendant qu’elle est rechargée, ou parce que PostgreSQL est en panne.'],
		['Stockage refusé', 'Chargée mais pas gardée, parce qu’elle a changé entre-temps.'],
		['Évincée, expirée, invalidée', 'Supprimée faute de place ; à la fin de sa durée de vie ; à cause d’un changement.'],
		['p50, p95, p99', 'La moitié, 95 % et 99 % n’ont pas pris plus longtemps.'],
		['Écoute, boîte d’envoi', 'Chaque changement de la base est écrit dans la boîte d’envoi, et l’écoute le reçoit.'],
		['Circuit', 'Tant qu’il est ouvert, Redis est laissé tranquille un moment, parce qu’il a échoué.'],
		['Récent', 'Les dernières minutes, chacune pesant la moitié de la suivante.'],
		['SIEVE, LRU', 'Deux façons de choisir ce qui est évincé.'],
	],
};
export const languages = { en, fr };
let now = 'en';

export function setLanguage(name) {
	now = name in languages ? name : 'en';
	document.documentElement.lang = now;
}

export const language = () => now;

/* Of the page's language, as the reader's country writes it. */
const locale = () => navigator.languages.find((l) => l === now || l.startsWith(`${now}-`)) ?? now;

const isOne = (n) => new Intl.PluralRules(now).select(Number(n)) === 'one';
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (found, x) => (!(x in values) ? found
	: typeof values[x] === 'number' ? whole(values[x]) : String(values[x])));
/* No line begins with what French sets apart. */
const tied = (text) => (now === 'fr' ? text.replace(/ (?=[:;?!%»])/g, '\u00a0').replace(/« /g, '«\u00a0') : text);
const all = (of, x) => (typeof x === 'string' ? of(x) : Array.isArray(x) ? x.map((y) => all(of, y))
	: Object.fromEntries(Object.entries(x).map(([name, y]) => [name, all(of, y)])));

/* {x} is filled in, numbers as they are written; {x:one|many} is what fits x. */
export function say(name, values = {}) {
	const text = languages[now][name] ?? name;

	return typeof text !== 'string' ? all(tied, text)
		: filled(tied(text).replace(/\{(\w+):((?:[^{}|]|\{\w+\})*)\|((?:[^{}|]|\{\w+\})*)\}/g, (found, x, one, many) => (isOne(values[x]) ? one : many)), values).trim();
}

/* A: B, as the language writes it. */
export const pair = (a, b) => tied(now === 'fr' ? `${a} : ${b}` : `${a}: ${b}`);

const format = (options) => (x) => (Number.isFinite(x) ? new Intl.NumberFormat(locale(), options).format(x) : '–');
export const whole = (x) => format({ maximumFractionDigits: 0 })(x);
export const rate = (x) => format(x < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: x < 10 ? 1 : 0 })(x);
export const percent = (x) => format({ style: 'percent', maximumFractionDigits: 1 })(x);
/* What lies between two ratios, in points of a hundred. */
export const points = (x) => (Math.abs(x) < 0.0005 ? '±0' : format({ signDisplay: 'always', maximumFractionDigits: 1 })(x * 100));
export const seconds = (x) => (!Number.isFinite(x) ? '–' : x < 0.001 ? `${format({ maximumSignificantDigits: 2 })(x * 1e6)}\u00a0µs`
	: x < 1 ? `${format({ maximumSignificantDigits: 2 })(x * 1000)}\u00a0ms`
	: x < 120 ? `${format({ maximumFractionDigits: 1 })(x)}\u00a0s` : x < 5400 && x % 3600 ? `${format({ maximumFractionDigits: 1 })(x / 60)}\u00a0min`
	: `${format({ maximumFractionDigits: 1 })(x / 3600)}\u00a0h`);
export function size(x) {
	const [by, en1, fr1] = x >= 1073741824 ? [1073741824, 'GB', 'Go'] : x >= 1048576 ? [1048576, 'MB', 'Mo'] : x >= 1024 ? [1024, 'KB', 'Ko'] : [1, 'B', 'o'];

	return `${format({ maximumFractionDigits: x >= 1024 ? 1 : 0 })(x / by)}\u00a0${now === 'fr' ? fr1 : en1}`;
}
export const clock = (ms) => new Intl.DateTimeFormat(locale(), { timeStyle: 'medium' }).format(ms);
/* Of today the time is enough. */
export function day(when) {
	const at = new Date(when ?? NaN);

	if (Number.isNaN(at.getTime()))
		return say('unknown');
	return at.toDateString() === new Date().toDateString() ? clock(at)
		: new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).format(at);
}
