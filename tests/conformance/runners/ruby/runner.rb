# Answers requests with the Ruby parser; see the README of the kit.
# frozen_string_literal: true

require 'json'
require 'stringio'
require_relative 'vhdx' # compiled beside this file

FRESH = %w[error broken_text].freeze
KINDS = (%w[int bool bytes str size absent] + FRESH).freeze
# What a parser may raise over a file that is not as it should be.
REFUSALS = [EOFError, EncodingError, Kaitai::Struct::KaitaiStructError, Errno::EINVAL].freeze

# The path leads nowhere.
class NothingThere < StandardError; end

# A file that is parsed when a value of it is asked for.
class Image
  def initialize(name)
    @data = File.binread(name)
    forget
  end

  def forget
    @root = nil
  end

  def follow(path)
    @root ||= Vhdx.new(Kaitai::Struct::Stream.new(StringIO.new(@data)))
    path.scan(/\w+/).reduce(@root) { |value, step| step_into(value, step) }
  end

  private

  def step_into(value, step)
    if step.match?(/\A\d/)
      raise NothingThere, "no element #{step}" unless value.is_a?(Array) && step.to_i < value.size

      value[step.to_i]
    else
      raise NothingThere, "no #{step} in #{value.class}" unless value.is_a?(Kaitai::Struct::Struct) && value.respond_to?(step)

      value.public_send(step)
    end
  end
end

def answer(kind, value)
  case value
  when nil then ['absent', '']
  when true, false then ['bool', value.to_s]
  when Integer then [KINDS.include?(kind) ? 'int' : kind, value.to_s] # an enum has no label for it
  when Symbol then [kind, value.to_s.delete_prefix("#{kind}_")]
  when String then text_or_bytes(value)
  when Array then ['size', value.size.to_s]
  else ['object', value.class.name]
  end
end

def text_or_bytes(value)
  return ['bytes', value.unpack1('H*')] if value.encoding == Encoding::BINARY

  ['str', JSON.generate(value.encode(Encoding::UTF_8))]
end

def main(requests)
  image = nil
  File.foreach(requests, chomp: true, encoding: 'UTF-8') do |line|
    kind, path = line.split("\t")
    if kind == 'open'
      image = Image.new(path)
      $stdout.write("opened\t\n")
      $stdout.flush
      next
    end
    image.forget if FRESH.include?(kind)
    begin
      got = answer(kind, image.follow(path))
    rescue NothingThere => e
      got = ['nothing', e.message]
    rescue *REFUSALS => e
      got = ['error', e.class.name]
    rescue StandardError => e
      got = ['nothing', "#{e.class}: #{e.message}".tr("\n", ' ')]
    end
    image.forget if FRESH.include?(kind) || %w[error nothing].include?(got[0])
    $stdout.write("#{got.join("\t")}\n")
  end
end

main(ARGV[0])
