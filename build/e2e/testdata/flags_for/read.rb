# HOST PORT KEY...: type and value of each key, a line of JSON each; a String with its encoding, in hexadecimal if binary.
require "dalli"
require "json"

host, port, *keys = ARGV
cache = Dalli::Client.new("#{host}:#{port}", serializer: JSON, socket_timeout: 30)
keys.each do |key|
  value = cache.get(key)
  if value.is_a?(String)
    binary = value.encoding == Encoding::BINARY
    puts JSON.generate(["String #{value.encoding}", binary ? value.unpack1("H*") : value])
  else
    puts JSON.generate([value.class.name, value])
  end
end
