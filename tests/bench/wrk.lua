-- For wrk, driven by tests/bench/bench.  Arguments: a file of paths, or "-" for
-- the one of the command line; "put" to write instead of reading.  The last
-- line is the result, as JSON.
local requests, at = {}, 0
local bodies = { '{"progress":"IN_PROGRESS"}', '{"progress":"COMPLETED"}' }
local threads = 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
end

function init(args)
	local put = args[2] == "put"
	if put then
		wrk.method = "PUT"
		wrk.headers["Content-Type"] = "application/json"
	end
	if not args[1] or args[1] == "-" then
		return
	end
	for line in io.lines(args[1]) do
		requests[#requests + 1] = wrk.format(nil, line, nil, put and bodies[#requests % 2 + 1] or nil)
	end
	-- Every thread begins elsewhere.
	at = math.floor(#requests / 2) * number
	request = function()
		at = at % #requests + 1
		return requests[at]
	end
end

function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'\n{"requests":%d,"us":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d,"p999":%d}\n',
		summary.requests, summary.duration, summary.bytes,
		e.connect + e.read + e.write + e.status + e.timeout,
		latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
