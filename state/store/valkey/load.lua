-- Sets counts to what the ledger says.
-- KEYS: accounts. ARGV: ms to keep; for each account: day, committed on it, committed in all.
for i = 1, #KEYS do
	local day, committed, total = ARGV[i * 3 - 1], ARGV[i * 3], ARGV[i * 3 + 1]
	redis.call('HSET', KEYS[i], 't', total, 'd' .. day, committed)
	-- Counts of days gone by, whose time would be renewed with the others'.
	for _, f in ipairs(redis.call('HKEYS', KEYS[i])) do
		if string.sub(f, 1, 1) == 'd' and tonumber(string.sub(f, 2)) < tonumber(day) - 1 then redis.call('HDEL', KEYS[i], f) end
	end
	redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
return 0
