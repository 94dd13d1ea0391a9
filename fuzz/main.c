/* Runs a target on files and on all files of directories, with any compiler: for regressions, for
 * coverage, and where there is no fuzzer. Prints each, and how many there were. */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

static long replayed;

static void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, room = 0, n;
    if (!f)
        die(path);
    do {
        if (size == room) {
            room = room ? 2 * room : 4096;
            data = (uint8_t *)realloc(data, room);
            if (!data)
                die(path);
        }
        n = fread(data + size, 1, room - size, f);
        size += n;
    } while (n);
    if (ferror(f))
        die(path);
    fclose(f);
    /* no octet behind the last one, as a fuzzer gives it */
    if (size)
        data = (uint8_t *)realloc(data, size);
    if (!data)
        die(path);
    puts(path);
    fflush(stdout); /* if it does not come back */
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
}

static void replay(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    if (!dir) {
        replay_file(path);
        return;
    }
    while ((void)(errno = 0), (entry = readdir(dir)) != NULL) {
        char inner[4096];
        if (entry->d_name[0] == '.')
            continue;
        if ((size_t)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= sizeof inner) {
            errno = ENAMETOOLONG;
            die(path);
        }
        replay_file(inner);
    }
    if (errno)
        die(path);
    closedir(dir);
}

int main(int argc, char **argv)
{
    int i;
    for (i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%ld inputs\n", replayed);
    return replayed == 0;
}
