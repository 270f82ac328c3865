-- Adds what came back, to accounts that are loaded.
-- KEYS: outcomes of this minute, outcomes of the one before, accounts.
-- ARGV: ms to remember; for each return: identity, index of its account's key, day, amount.
local noted = false
for a = 2, #ARGV, 4 do
	local id, key, day = 'g' .. ARGV[a], KEYS[tonumber(ARGV[a + 1])], 'd' .. ARGV[a + 2]
	if redis.call('HEXISTS', KEYS[1], id) == 0 and redis.call('HEXISTS', KEYS[2], id) == 0 then
		local committed = redis.call('HMGET', key, 't', day)
		local h, l = parse(ARGV[a + 3])
		if committed[1] then
			local allh, alll = parse(committed[1])
			redis.call('HSET', key, 't', text(sub(allh, alll, h, l)))
		end
		if committed[2] then
			local dayh, dayl = parse(committed[2])
			redis.call('HSET', key, day, text(sub(dayh, dayl, h, l)))
		end
		redis.call('HSET', KEYS[1], id, '')
		noted = true
	end
end
if noted then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 0
