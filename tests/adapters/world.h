/* A test program's own mtasts-world: in a temporary directory, and gone when the program is. */
#ifndef WORLD_H
#define WORLD_H

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *world_program;
static pid_t world_pid;
static int world_in = -1;
static FILE *world_out;
static char dir[] = "/tmp/mtasts-test-XXXXXX";
static char dns_server[64], ca[128], crl[128];
static unsigned https_port, smtp_port;

static char *in_dir(const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

/* Read what the world says up to a line. */
static void wait_for_line(const char *last)
{
    char line[256];
    while (fgets(line, sizeof line, world_out)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, last) == 0)
            return;
        if (strncmp(line, "dns=", 4) == 0)
            snprintf(dns_server, sizeof dns_server, "%.60s", line + 4);
        else if (strncmp(line, "https_port=", 11) == 0)
            https_port = (unsigned)strtoul(line + 11, NULL, 10);
        else if (strncmp(line, "smtp_port=", 10) == 0)
            smtp_port = (unsigned)strtoul(line + 10, NULL, 10);
        else if (strncmp(line, "ca=", 3) == 0)
            snprintf(ca, sizeof ca, "%.120s", line + 3);
        else if (strncmp(line, "crl=", 4) == 0)
            snprintf(crl, sizeof crl, "%.120s", line + 4);
    }
    fprintf(stderr, "%s does not say %s\n", world_program, last);
    abort();
}

static void make_dir(void)
{
    signal(SIGPIPE, SIG_IGN); /* of the world's pipe */
    if (!mkdtemp(dir))
        abort();
}

/* With the file "world" in dir, which is written before. */
static void start_world(void)
{
    int in[2], out[2];
    if (pipe(in) || pipe(out))
        abort();
    world_pid = fork();
    if (world_pid < 0)
        abort();
    if (world_pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        execl(world_program, world_program, "--dir", dir, in_dir("world"), (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    world_in = in[1];
    world_out = fdopen(out[0], "r");
    if (!world_out)
        abort();
    wait_for_line("ready");
}

static void empty_dir(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char file[1024];
    while (d && (e = readdir(d))) {
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        unlink(file);
    }
    if (d)
        closedir(d);
}

/* Whatever has come of it. */
static void stop_world(void)
{
    if (world_pid > 0) {
        close(world_in); /* its standard input ends: so does it */
        waitpid(world_pid, NULL, 0);
    }
    if (world_out)
        fclose(world_out);
    empty_dir(dir);
    rmdir(dir);
}

#endif
