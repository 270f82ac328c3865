-- Checks and deducts: store.Headroom and store.Chunk, for each request.
-- KEYS: outcomes of this minute, outcomes of the one before, accounts.
-- ARGV: node, ms to remember, ms a holder counts; for each request: identity, index of its account's key, day, want, at least, daily, total.
-- Answers for each request: status, amount, remaining. Status: 1 granted, 2 exhausted, 3 not loaded.
local node, remember, holding = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function holders(key)
	local n, all = 0, redis.call('HGETALL', key)
	for i = 1, #all, 2 do
		if string.sub(all[i], 1, 1) == 'h' and tonumber(all[i + 1]) + holding > now then n = n + 1 end
	end
	return n
end

local function take(a)
	local key, day = KEYS[tonumber(ARGV[a + 1])], 'd' .. ARGV[a + 2]
	local committed = redis.call('HMGET', key, 't', day)
	if not committed[1] or not committed[2] then return nil end
	redis.call('HSET', key, 'h' .. node, now)
	local dayh, dayl = parse(committed[2])
	local allh, alll = parse(committed[1])
	-- The limits, and what they leave; unlimited is 2^61.
	local limith, limitl = 2305843009, 213693952
	local resth, restl = limith, limitl
	if ARGV[a + 5] ~= '0' then
		local h, l = parse(ARGV[a + 5])
		limith, limitl = least(limith, limitl, h, l)
		resth, restl = least(resth, restl, sub(h, l, dayh, dayl))
	end
	if ARGV[a + 6] ~= '0' then
		local h, l = parse(ARGV[a + 6])
		limith, limitl = least(limith, limitl, h, l)
		resth, restl = least(resth, restl, sub(h, l, allh, alll))
	end
	local h, l = parse(ARGV[a + 3])
	local tenthh, tenthl = div(limith, limitl, 10)
	if not less(tenthh, tenthl, resth, restl) then
		local sharedh, sharedl = div(resth, restl, holders(key) * 10)
		local leasth, leastl = parse(ARGV[a + 4])
		sharedh, sharedl = most(sharedh, sharedl, leasth, leastl)
		h, l = least(h, l, sharedh, sharedl)
	end
	h, l = least(h, l, resth, restl)
	if h == 0 and l == 0 then return 2, '0', text(resth, restl) end
	redis.call('HSET', key, 't', text(add(allh, alll, h, l)), day, text(add(dayh, dayl, h, l)))
	return 1, text(h, l), text(sub(resth, restl, h, l))
end

local answers, noted = {}, false
for a = 4, #ARGV, 7 do
	local n = #answers
	local first = redis.call('HGET', KEYS[1], ARGV[a]) or redis.call('HGET', KEYS[2], ARGV[a])
	if first then
		local amount, rest = string.match(first, '(%d+) (%d+)')
		answers[n + 1], answers[n + 2], answers[n + 3] = 1, amount, rest
	else
		local status, amount, rest = take(a)
		if status == 1 then -- a refusal took nothing: its repeat may as well be decided anew
			redis.call('HSET', KEYS[1], ARGV[a], amount .. ' ' .. rest)
			noted = true
		end
		answers[n + 1], answers[n + 2], answers[n + 3] = status or 3, amount or '0', rest or '0'
	end
end
if noted then redis.call('PEXPIRE', KEYS[1], remember) end
return answers
