-- Answers requests with the Lua parser; see the README of the kit.

local runtime, requests = arg[1], arg[2]
package.path = "./?.lua;" .. runtime .. "/?.lua;" .. package.path
require("vhdx") -- compiled beside this file

local FRESH = { error = true, broken_text = true }

local file, root

local function forget()
    if root then
        root._io:close()
        root = nil
    end
end

-- Returns what a path leads to; a name that is not there is nil, as an absent value is.
local function follow(path)
    root = root or Vhdx:from_file(file)
    local value = root
    for step in path:gmatch("[%w_]+") do
        local index = step:match("^%d") and tonumber(step) + 1
        value = value[index or step]
    end
    return value
end

local function is_list(value)
    return type(value) == "table" and getmetatable(value) == nil
end

-- Text is bytes here: what was asked for tells them apart.
local function answer(kind, value)
    if value == nil then
        return "absent", ""
    elseif type(value) == "boolean" then
        return "bool", tostring(value)
    elseif math.type(value) == "integer" then
        return "int", tostring(value)
    elseif type(value) == "number" then
        return "nothing", "the floating-point number " .. value
    elseif type(value) == "string" and (kind == "str" or kind == "broken_text") then
        return "str", '"' .. value:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
    elseif type(value) == "string" then
        return "bytes", (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    elseif is_list(value) and value.label then
        return kind, value.label
    elseif is_list(value) then
        return "size", tostring(#value)
    end
    return "object", ""
end

for line in io.lines(requests) do
    local kind, path = line:match("^(.-)\t(.*)$")
    if kind == "open" then
        forget()
        file = path
        assert(io.open(file, "rb")):close()
        io.write("opened\t\n")
    else
        if FRESH[kind] then
            forget()
        end
        -- Lua has errors of one kind: whatever a parser raises is about the file.
        local is_read, got, text = pcall(function() return answer(kind, follow(path)) end)
        if not is_read then
            got, text = "error", tostring(got):gsub("^.-:%d+: ", ""):gsub("\n", " ")
        end
        if FRESH[kind] or not is_read then
            forget()
        end
        io.write(got, "\t", text, "\n")
    end
end
