"""LIBRARY HOST PORT KEY...: type and value of each key, a line of JSON each; bytes in hexadecimal."""
import json
import sys

library, host, port = sys.argv[1:4]
if library == "pylibmc":
    import pylibmc
    cache = pylibmc.Client([host + ":" + port])
elif library == "pymemcache":
    from pymemcache.client.base import Client
    from pymemcache.serde import pickle_serde
    cache = Client((host, int(port)), serde=pickle_serde)
elif library == "python-memcached":
    import memcache
    cache = memcache.Client([host + ":" + port], socket_timeout=30)
elif library == "bmemcached":
    import bmemcached
    cache = bmemcached.Client([host + ":" + port], socket_timeout=30)
for key in sys.argv[4:]:
    value = cache.get(key)
    shown = value.hex() if isinstance(value, bytes) else value
    print(json.dumps([type(value).__name__, shown], ensure_ascii=False, separators=(",", ":")))
