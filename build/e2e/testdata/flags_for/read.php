<?php
// CLASS HOST PORT KEY...: type and value of each key, a line of JSON each.
[, $class, $host, $port] = $argv;
$cache = new $class();
if ($cache instanceof Memcached) {
    $cache->setOption(Memcached::OPT_POLL_TIMEOUT, 30000);
}
$cache->addServer($host, (int)$port);
foreach (array_slice($argv, 4) as $key) {
    $value = $cache->get($key);
    echo json_encode([get_debug_type($value), $value], JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_UNICODE), "\n";
}
