-- Requests of wrk that differ: `SIZE PATHS EVERY`, the octets of an answer, how many paths are asked for in turn, and after how
-- many requests of this thread the pool changes that they are for (0: never).
local n = 0
local size, paths, every

function init(args)
  size, paths, every = args[1], tonumber(args[2]), tonumber(args[3])
end

function request()
  n = n + 1
  local second = every > 0 and math.floor(n / every) % 2 == 1
  wrk.headers["X-Pool"] = second and "two" or "one"
  return wrk.format("GET", "/" .. string.rep("0", n % paths) .. size)
end
