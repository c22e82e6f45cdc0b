# Answers requests with the Nim parser; see the README of the kit.

import std/[json, os, strutils]
import kaitai_struct_nim_runtime
import vhdx # compiled beside this file

type
  # What a path leads to: something to say, and the way on.
  Value = ref object
    kind, text: string
    isEmpty: bool
    step: proc (name: string): Value

proc absent(): Value = Value(kind: "absent")
proc nothing(reason: string): Value = Value(kind: "nothing", text: reason)

proc snakeCase(name: string): string =
  for index, letter in name:
    if letter.isUpperAscii and index > 0: result.add '_'
    result.add letter.toLowerAscii

proc show(value: bool): Value = Value(kind: "bool", text: $value)
proc show(value: SomeInteger): Value = Value(kind: "int", text: $value)
proc show(value: string): Value = Value(kind: "str", text: escapeJson(value))

proc show(value: seq[byte]): Value =
  result = Value(kind: "bytes", isEmpty: value.len == 0)
  for one in value: result.text.add one.toHex.toLowerAscii

# A value of an enum; a number for which it has no label is printed with a remark.
proc show[T: enum](value: T): Value =
  Value(kind: snakeCase(($T).replace("Vhdx_", "")), text: ($value).split(' ')[0])

proc show[T](list: seq[T]): Value =
  result = Value(kind: "size", text: $list.len, isEmpty: list.len == 0)
  result.step = proc (name: string): Value =
    let index = try: parseInt(name) except ValueError: list.len
    if index < list.len: show(list[index]) else: nothing("no element " & name)

include accessors # written by accessors.py

var file: string
var root: Vhdx

proc follow(path: string): Value =
  if root.isNil: root = Vhdx.fromFile(file)
  result = show(root)
  for step in path.split({'.', '[', ']'}):
    if step.len > 0:
      result = if result.step.isNil: nothing("no " & step) else: result.step(step)

proc main(requests: string) =
  for line in lines(requests):
    let fields = line.split('\t')
    let kind = fields[0]
    if kind == "open":
      file = fields[1]
      root = nil
      if not fileExists(file): quit("no " & file)
      stdout.write "opened\t\n"
      stdout.flushFile
      continue
    let isFresh = kind in ["error", "broken_text"]
    if isFresh: root = nil
    var value: Value
    try:
      value = follow(fields[1])
      # What is absent is empty here.
      if kind == "absent" and value.isEmpty: value = absent()
    except CatchableError, Defect: # whatever a parser raises is about the file
      value = Value(kind: "error", text: $getCurrentException().name)
      root = nil
    if isFresh: root = nil
    stdout.write value.kind, '\t', value.text, '\n'

main(paramStr(1))
