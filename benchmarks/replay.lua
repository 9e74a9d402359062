-- For wrk: sends the requests of a file, one after the other, each as it stands there.
-- A file is a sequence of: length in decimal, a line break, that many bytes.

local requests, position = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   while true do
      local length = file:read("*n", "*l")
      if not length then break end
      requests[#requests + 1] = file:read(length)
   end
   file:close()
end

function request()
   position = position % #requests + 1
   return requests[position]
end
