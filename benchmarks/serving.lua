-- wrk -s serving.lua URL PATHS RATE [told]
-- Asks for lines of the file PATHS drawn at random, below the URL's own path: a path, or a path, a tab and a JSON body to
-- be sent there. RATE is of requests a second over all connections, 0 for as many as it takes. With "told" it counts the
-- answers by status, source, versions and whether scores fall or rise, which takes it longer. The last line that it prints
-- is JSON.

local ffi = require("ffi")
ffi.cdef[[
typedef struct { long seconds; long nanoseconds; } moment;
int clock_gettime(int clock, moment *now);
]]
local MONOTONIC = 1
local threads = {}
local paths = {}
answers = {}

function setup(thread)
  table.insert(threads, thread)
end

local function order(body)
  local first, last = tonumber(body:match('"score":([-%d.eE+]+)')), tonumber(body:match('.*"score":([-%d.eE+]+)'))
  if first == last then
    return "-"
  end
  return first > last and "falling" or "rising"
end

local function evenly(rate)
  local now, due = ffi.new("moment"), nil
  delay = function()
    ffi.C.clock_gettime(MONOTONIC, now)
    local ms = tonumber(now.seconds) * 1e3 + tonumber(now.nanoseconds) / 1e6
    due = (due or ms) + 1e3 / rate
    return math.max(0, math.floor(due - ms + 0.5))
  end
end

function init(args)
  local mount = wrk.path == "/" and "" or wrk.path
  for line in io.lines(args[1]) do
    local path, body = line:match("^([^\t]+)\t?(.*)$")
    if body == "" then
      paths[#paths + 1] = wrk.format("GET", mount .. path)
    else
      wrk.headers["content-type"] = "application/json"
      paths[#paths + 1] = wrk.format("POST", mount .. path, nil, body)
    end
  end
  math.randomseed(17)
  if tonumber(args[2]) > 0 then
    evenly(tonumber(args[2]))
  end
  if args[3] == "told" then
    response = function(status, _, body)
      local kind = string.format("%d %s %s %s %s", status, body:match('"source":"(%a+)"') or "-",
        (body:match('"snapshot":"(%x+)"') or "-"):sub(1, 12), (body:match('"model":"(%x+)"') or "-"):sub(1, 12),
        order(body))
      answers[kind] = (answers[kind] or 0) + 1
    end
  end
end

function request()
  return paths[math.random(#paths)]
end

function done(summary, latency)
  local counted = {}
  for _, thread in ipairs(threads) do
    for kind, count in pairs(thread:get("answers")) do
      counted[#counted + 1] = string.format('"%s":%d', kind, count)
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d,"late":%d,"bad":%d,"answers":{%s}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read + errors.write, errors.timeout, errors.status, table.concat(counted, ",")))
end
