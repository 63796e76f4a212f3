// LIBRARY HOST PORT KEY...: type and value of each key, a line of JSON each; bytes in hexadecimal.
const [library, host, port, ...keys] = process.argv.slice(2);

function opened() {
  const server = `${host}:${port}`;
  switch (library) {
    case "memcached": {
      const cache = new (require("memcached"))(server, { timeout: 30000 });
      return [(key, done) => cache.get(key, done), () => cache.end()];
    }
    case "memcache-client": {
      const cache = new (require("memcache-client").MemcacheClient)({ server, cmdTimeout: 30000 });
      return [(key, done) => cache.get(key, (err, got) => done(err, got && got.value)), () => cache.shutdown()];
    }
  }
}

const [get, close] = opened();
function next() {
  const key = keys.shift();
  if (key === undefined) return close();
  get(key, (err, value) => {
    if (err) throw err;
    const bytes = Buffer.isBuffer(value);
    console.log(JSON.stringify([bytes ? "Buffer" : typeof value, bytes ? value.toString("hex") : value]));
    next();
  });
}
next();
