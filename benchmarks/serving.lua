-- wrk -s serving.lua URL PATHS [told]
-- Asks for lines of the file PATHS drawn at random, below the URL's own path: a path, or a path, a tab and a JSON body to
-- be sent there. With "told" it counts the answers by status, source and versions, which takes it longer. The last line
-- that it prints is JSON.

local threads = {}
local paths = {}
answers = {}

function setup(thread)
  table.insert(threads, thread)
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
  if args[2] == "told" then
    response = function(status, _, body)
      local kind = string.format("%d %s %s %s", status, body:match('"source":"(%a+)"') or "-",
        (body:match('"snapshot":"(%x+)"') or "-"):sub(1, 12), (body:match('"model":"(%x+)"') or "-"):sub(1, 12))
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
