-- Amounts are int64 and never negative here; a number has 53 bits: so two parts, units of 10^9 and the rest.
local BASE = 1000000000
local function parse(s)
	local n = #s
	if n <= 9 then return 0, tonumber(s) end
	return tonumber(string.sub(s, 1, n - 9)), tonumber(string.sub(s, n - 8))
end
local function text(h, l)
	if h == 0 then return string.format('%.0f', l) end
	return string.format('%.0f%09.0f', h, l)
end
local function less(ah, al, bh, bl) return ah < bh or (ah == bh and al < bl) end
local function least(ah, al, bh, bl)
	if less(bh, bl, ah, al) then return bh, bl end
	return ah, al
end
local function most(ah, al, bh, bl)
	if less(ah, al, bh, bl) then return bh, bl end
	return ah, al
end
local function add(ah, al, bh, bl)
	local h, l = ah + bh, al + bl
	if l >= BASE then return h + 1, l - BASE end
	return h, l
end
-- 0 where it would be negative.
local function sub(ah, al, bh, bl)
	if less(ah, al, bh, bl) then return 0, 0 end
	if al < bl then return ah - bh - 1, al + BASE - bl end
	return ah - bh, al - bl
end
local function div(h, l, d)
	local r = h % d
	local rest = r * BASE + l
	return (h - r) / d, (rest - rest % d) / d
end
