# HOST PORT KEY...: type and value of each key, a line of JSON each; bytes in hexadecimal.
use strict;
use warnings;
use Cache::Memcached::Fast;

my ($host, $port, @keys) = @ARGV;
my $cache = Cache::Memcached::Fast->new({ servers => ["$host:$port"], utf8 => 1, connect_timeout => 30, io_timeout => 30 });
for my $key (@keys) {
    my $value = $cache->get($key);
    my $text = utf8::is_utf8($value);
    utf8::encode($value) if $text;
    print $text ? qq(["characters","$value"]\n) : sprintf(qq(["bytes","%s"]\n), unpack("H*", $value));
}
