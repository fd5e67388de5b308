/* The table of commands. A row names what runs it, and help, which lists all rows, is one: this
 * file and help.c know each other. */
#include "cli/table.h"

#include "base/container.h"

#include <string.h>

#define MEASURE (PP_CLI_RUN | PP_CLI_CLIENT)

static int print_help(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    (void)err;
    *signal_out = 0;
    pp_cli_print_help(stdout, cli->help_jobs);
    return 0;
}

static int print_version(const struct pp_cli *cli, int *signal_out, struct pp_error *err)
{
    (void)cli;
    (void)err;
    *signal_out = 0;
    (void)printf("pingpong %s\n", PP_VERSION);
    return 0;
}

const struct pp_cli_example pp_cli_examples[] = {
    { "pingpong", "500,000 round trips on this machine" },
    { "pingpong serve :3131", "a server for other machines" },
    { "pingpong 10.0.0.2 -c 100 -t 30s", "100 connections to it for 30 seconds" },
    { "pingpong client 10.0.0.2 -R 50k -m 64,1k",
      "50,000 requests of 64 B a second, each answered with 1,000 B" },
    { "pingpong client cache:6379 --send 'PING\\r\\n' --expect '+PONG\\r\\n'",
      "another program's server" },
    { NULL, NULL },
};

static const struct pp_cli_example run_examples[] = {
    { "pingpong", "500,000 round trips on this machine" },
    { "pingpong -c 200 -T 2 -S 2",
      "200 connections over two client and two server threads, each pair on a core of its own" },
    { "pingpong --engine io_uring --server-engine epoll", "An engine for each side" },
    { "pingpong -R 20k -t 10s --strict",
      "An open loop: 20,000 messages a second for ten seconds, and status 3 if that was not held" },
    { "pingpong -t 10s --fail-if 'p99>200us' 'rate<50k'",
      "For CI: status 3 if half of a promise is broken, and a line that says which" },
    { "pingpong -u -H unix:/tmp/pp.sock", "Datagrams over a Unix socket" },
    { NULL, NULL },
};

static const struct pp_cli_example client_examples[] = {
    { "pingpong client 10.0.0.2 -c 100 -t 30s", "100 connections to a server, for 30 seconds" },
    { "pingpong client 10.0.0.2 -R 50k -m 64,1k",
      "50,000 requests of 64 B a second, each answered with 1,000 B" },
    { "pingpong client 10.0.0.2:7 --no-hello", "Any echo server" },
    { "pingpong client cache:6379 --send 'PING\\r\\n' --expect '+PONG\\r\\n'",
      "A service whose request and response are known" },
    { NULL, NULL },
};

static const struct pp_cli_example serve_examples[] = {
    { "pingpong serve :3131", "For other machines, on all addresses" },
    { "pingpong serve :0 -S 4 --engine epoll", "Four threads, on epoll, on any free port" },
    { "pingpong serve unix:/run/echo.sock", "On a Unix socket" },
    { NULL, NULL },
};

static const struct pp_cli_example compare_examples[] = {
    { "pingpong compare epoll io_uring -c 100", "Two engines, at 100 connections" },
    { "pingpong compare wait=block wait=spin -A 0,1", "Two policies of waiting, on two CPUs" },
    { "pingpong compare epoll io_uring libuv libevent threads -c 100",
      "Engines, and what one would write without them" },
    { "pingpong compare --matrix -c 50", "Each engine with each" },
    { "pingpong compare --ablate io_uring -c 100", "What each of its features is worth" },
    { "pingpong compare 'server:./old {port}' 'server:./new {port}' -c 50",
      "Two echo servers, which are started for each run" },
    { "pingpong compare bin:./old/pingpong auto --fail-if 'rate<-3%'",
      "For CI: status 3 if this build is surely slower than the old one" },
    { NULL, NULL },
};

static const struct pp_cli_example sweep_examples[] = {
    { "pingpong sweep -c 1..1000:x10", "1, 10, 100 and 1,000 connections" },
    { "pingpong sweep epoll io_uring -c 1..256:x4 --csv=run.csv",
      "Two engines, their rows in a file, too" },
    { "pingpong sweep at:10.0.0.2 -R 1k..max:x1.3 -c 50 --knee",
      "How latency grows with the load of a server, and from where on too fast" },
    { "pingpong sweep epoll io_uring --slo 'p99<200us' -c 50",
      "The highest rate of each engine at which that holds" },
    { NULL, NULL },
};

static const struct pp_cli_example explain_examples[] = {
    { "pingpong explain", "A bare run, taken apart" },
    { "pingpong explain --placement split --wait block", "As most servers run and wait" },
    { "pingpong explain -c 100", "A hundred connections, which wait for each other" },
    { "pingpong explain -m 1k --engine io_uring --json=explain.json",
      "Messages of 1,000 B on io_uring, and everything that was measured in a file" },
    { NULL, NULL },
};

static const struct pp_cli_example engines_examples[] = {
    { "pingpong engines", "What there is" },
    { "pingpong engines --json", "The same for a program" },
    { "pingpong engines --json -o engines.json", "For a bug report" },
    { NULL, NULL },
};

const struct pp_cli_command pp_cli_commands[] = {
    { "run", PP_CLI_NOTHING, "[run]", "server and client in one process", pp_cli_measure,
      PP_CLI_RUN,
      "Starts an echo server in this process and measures against it: 500,000 round trips, unless "
      "--count or --time says otherwise.",
      run_examples },
    { "serve", PP_CLI_AN_ADDRESS, "serve [ADDRESS]", "an echo server, until a signal", pp_cli_serve,
      PP_CLI_SERVE,
      "Serves whoever connects, until a signal ends it. Without an ADDRESS it listens on "
      "127.0.0.1:3131, where only this machine reaches it; :3131 is all addresses.",
      serve_examples },
    { "client", PP_CLI_AN_ADDRESS, "[client] ADDRESS", "a client of a server elsewhere",
      pp_cli_measure, PP_CLI_CLIENT,
      "Measures against a server that runs already, for 10 seconds, unless --count or --time says "
      "otherwise.",
      client_examples },
    { "compare", PP_CLI_CANDIDATES, "compare A B...", "which is faster, and by how much",
      pp_cli_compare, PP_CLI_COMPARE,
      "Runs A, the baseline, and each other candidate in turns, and says by how much they "
      "differ in CPU time a round trip, rate, p50 and p99, and whether that is sure. A "
      "candidate is an engine (io_uring:no-multishot), two with a slash between, the client's and "
      "the server's (epoll/io_uring), a peer, which is the same echo on another library (libuv, as "
      "\"pingpong engines\" lists them), OPTION=VALUE of run and client "
      "('engine=epoll wait=block'), server:COMMAND, which starts an echo server on {host} and "
      "{port}, at:ADDRESS of one that runs already, bin:PROGRAM, another build of pingpong, or "
      "FILE.json, what --json has written before: of a comparison the baseline's runs, or with "
      "FILE.json#NAME those of another candidate. "
      "All options of run and client that say what is measured apply to all of them.",
      compare_examples },
    { "sweep", PP_CLI_CANDIDATES, "sweep [A]...", "a ladder of loads, a row each", pp_cli_sweep,
      PP_CLI_SWEEP,
      "Runs each step of one or two options that have several values, in an order drawn anew "
      "each round, and prints a row for each: -c 1..1000:x10, -m 1..64KiB:x4, -R 1k..max:x1.5 "
      "(up to the rate of a closed loop), -D 1,4,16, --think 0..1ms:x10 or -T 1..4:+1. Each A, "
      "a candidate as of compare, has its rows. With --slo it looks for the highest rate instead "
      "at "
      "which a percentile holds. All options of run and client that say what is "
      "measured apply to all of them; engine, placement and wait are those of the first step.",
      sweep_examples },
    { "explain", PP_CLI_NOTHING, "explain", "where a round trip's time goes", pp_cli_explain,
      PP_CLI_EXPLAIN,
      "Takes a round trip apart: how much of it are system calls, sockets, TCP, task switches, "
      "crossing to another CPU, waking one that is idle, the event loop, measuring, and, where "
      "several messages are under way, waiting for others. Each part is a difference between short "
      "runs that take turns, most of them loops "
      "written by hand, and has its interval. The program also runs with other options, and what "
      "these would save is told.",
      explain_examples },
    { "engines", PP_CLI_NOTHING, "engines", "what runs here, and how fast this machine is",
      pp_cli_engines, PP_CLI_ENGINES,
      "Says of each engine whether it runs here, or why not and what to do about it, and which of "
      "its features are granted; which peers there are; and in a second, how many round trips this "
      "machine makes in "
      "loops written by hand, without any engine: what an event loop can come close to.",
      engines_examples },
    { "help", PP_CLI_A_COMMAND, "help [COMMAND]", "all options, or a command's", print_help, 0,
      NULL, NULL },
    { "version", PP_CLI_NOTHING, "version", "the version", print_version, 0, NULL, NULL },
};

const size_t pp_cli_command_count = COUNT_OF(pp_cli_commands);

const struct pp_cli_command *pp_cli_command_find(const char *name)
{
    for (size_t i = 0; i < pp_cli_command_count; i++)
        if (strcmp(name, pp_cli_commands[i].name) == 0)
            return &pp_cli_commands[i];
    return NULL;
}

const struct pp_cli_command *pp_cli_command_of(unsigned job)
{
    for (size_t i = 0; i < pp_cli_command_count; i++)
        if (pp_cli_commands[i].jobs == job)
            return &pp_cli_commands[i];
    return NULL;
}

const struct pp_cli_status pp_cli_statuses[] = {
    { "0", "ok", NULL, PP_CLI_ALL },
    { "1", "the run failed", "; one line says what was wrong and what to do", PP_CLI_ALL },
    { "2", "usage", ": the command line makes no sense", PP_CLI_ALL },
    { "3",
      "with --strict an INVALID result, with --strict=suspect a SUSPECT one, too, or one that "
      "meets a condition of --fail-if",
      NULL, MEASURE },
    { "3", "a condition of --fail-if is surely met", NULL, PP_CLI_COMPARE },
    { "4", "an engine or a feature cannot be had here", NULL, PP_CLI_ALL & ~PP_CLI_ENGINES },
    { "5", "a wrong answer", NULL, MEASURE | PP_CLI_EXPERIMENTS },
    { "129, 130, 131 or 143", "interrupted (what was measured is printed)", NULL,
      MEASURE | PP_CLI_EXPERIMENTS },
    { "129, 130, 131 or 143", "interrupted", NULL, PP_CLI_ENGINES },
    { "129, 130, 131 or 143", "interrupted before it listens; later a signal ends it with 0", NULL,
      PP_CLI_SERVE },
};

const size_t pp_cli_status_count = COUNT_OF(pp_cli_statuses);
