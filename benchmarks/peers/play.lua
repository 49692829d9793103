-- wrk's script: send the requests of the file REQUESTS in turn, without end. In the file, \30
-- separates requests, and \26 stands for a new UUID, the same one wherever it stands twice in the
-- head and the body of a single event; a batch has a new one for each of its events.
local ID, SEPARATOR = "\26", "\30"
local SAME = os.getenv("SAME_ID") == "1"

local function split(text, separator)
  local pieces, from = {}, 1
  while true do
    local at = text:find(separator, from, true)
    pieces[#pieces + 1] = text:sub(from, at and at - 1)
    if not at then return pieces end
    from = at + 1
  end
end

local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
local requests = split(file:read("*a"), SEPARATOR)
file:close()
for number = 1, #requests do requests[number] = split(requests[number], ID) end

math.randomseed(os.time() + 1000 * os.clock())
local random, hex = math.random, {}
for number = 0, 65535 do hex[number] = string.format("%04x", number) end
local function four() return hex[random(0, 65535)] end
local function uuid()
  return four() .. four() .. "-" .. four() .. "-4" .. four():sub(2) .. "-a" .. four():sub(2)
    .. "-" .. four() .. four() .. four()
end

local number = random(1, #requests)
request = function()
  number = number % #requests + 1
  local pieces = requests[number]
  if #pieces == 2 then return pieces[1] .. uuid() .. pieces[2] end
  local same, whole = SAME and uuid(), { pieces[1] }
  for place = 2, #pieces do
    whole[2 * place - 2] = same or uuid()
    whole[2 * place - 1] = pieces[place]
  end
  return table.concat(whole)
end
