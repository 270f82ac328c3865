-- Tells what is counted. KEYS: accounts. ARGV: for each, the day.
-- Answers for each: committed on the day, committed in all; '' where it is not known.
local answers = {}
for i = 1, #KEYS do
	local committed = redis.call('HMGET', KEYS[i], 'd' .. ARGV[i], 't')
	local known = committed[1] and committed[2]
	answers[2 * i - 1], answers[2 * i] = known and committed[1] or '', known and committed[2] or ''
end
return answers
