/* The table of options: what can be asked for, by which name, and what it does to the plan. */
#include "cli/options.h"

#include "base/container.h"
#include "cli/own.h"

#define ALL PP_CLI_JOBS
#define RUN PP_CLI_RUN
#define CLIENT PP_CLI_CLIENT
#define SERVE PP_CLI_SERVE
#define MEASURE (RUN | CLIENT)
#define EXPERIMENTS PP_CLI_EXPERIMENTS
#define EXPLAIN PP_CLI_EXPLAIN

#define COUNT_MAX UINT64_C(1000000000000)
#define SEED_MAX INT64_MAX /* what an integer of JSON can be, as programs read it */
#define SOCKET_BUFFER_MAX (UINT64_C(1) << 30)
#define PID_MAX (UINT64_C(1) << 22) /* the kernel's own limit */
#define SECOND PP_NS_PER_S

/* A member of struct pp_cli, and the parts of a row that say what it is. */
#define MEMBER(name)                                                                               \
    {                                                                                              \
        offsetof(struct pp_cli, name), sizeof((struct pp_cli *)NULL)->name                         \
    }
#define INTO(type_name, name) .type = PP_CLI_##type_name, .field = MEMBER(name)
#define FLAG(name, value) INTO(FLAG, name), .max = (value)
#define INTEGER(type_name, name, least, most) INTO(type_name, name), .min = (least), .max = (most)
#define TIME(name, unit, least, most) INTEGER(TIME, name, least, most), .unit_ns = unit
#define RATE(name, least, most) INTO(RATE, name), .low = (least), .high = (most)
#define PLAN_TEXT(name) INTO(TEXT, plan.name), .max = PP_PLAN_TEXT_MAX
#define CHOICE(name, names) INTO(CHOICE, name), .words = (names)

#define ALIASES(...) .aliases = { __VA_ARGS__ }
#define ITS_DEFAULT .otherwise = "{}"
#define THE_SYSTEMS .otherwise = "the system's"

/* In the order of their values, but for strict_words. */
static const char *const strict_words[] = { "invalid", "suspect", NULL };
static const char *const nodelay_words[] = { "on", "off", NULL };

const struct pp_cli_option pp_cli_options[] = {
    { 'c', "connections", PP_CLI_LOAD, MEASURE | EXPLAIN, ALIASES("flows", "parallel"),
      INTEGER(NUMBER, plan.connections, 1, PP_PLAN_CONNECTIONS_MAX), ITS_DEFAULT,
      .help = "connections, shared among the client threads" },
    { 'T', "threads", PP_CLI_LOAD, MEASURE | EXPLAIN,
      INTEGER(NUMBER, plan.client_threads, 1, PP_PLAN_THREADS_MAX), ITS_DEFAULT,
      .help = "client threads" },
    { 'S', "server-threads", PP_CLI_LOAD, RUN | SERVE | EXPLAIN,
      INTEGER(NUMBER, plan.server_threads, 1, PP_PLAN_THREADS_MAX), ITS_DEFAULT,
      .help = "server threads" },
    { 'D', "depth", PP_CLI_LOAD, MEASURE | EXPLAIN,
      INTEGER(NUMBER, plan.depth, 1, PP_PLAN_DEPTH_MAX),
      .help = "requests that one connection may have on the way at once",
      .otherwise = "1; with a --rate, as many as it takes" },
    { 'm', "size", PP_CLI_LOAD, MEASURE | EXPLAIN,
      INTEGER(SIZE, plan.request, 1, PP_SIZES_BYTES_MAX), .given = MEMBER(plan.sizes_given),
      .apply = pp_cli_apply_size, .value = "REQ[,RESP]",
      .such_as = "64, 1k or 4KiB, or uniform:LOW-HIGH or file:PATH; and after a comma the "
                 "response's, if it is another",
      .help = "size of a request, and of the response if it is no echo: 64, 1k, 4KiB, "
              "uniform:64-1400, or file:PATH with lines SIZE [WEIGHT] or LOW-HIGH [WEIGHT]",
      ITS_DEFAULT, .normal = MEMBER(plan.request.min) },
    { 'n', "count", PP_CLI_LOAD, MEASURE, INTEGER(NUMBER, plan.count, 1, COUNT_MAX),
      .given = MEMBER(given.count), .such_as = "500000, 500k or 1.5M",
      .help = "round trips to measure, over all connections",
      .otherwise = "run: {}, unless there is a --time" },
    { 't', "time", PP_CLI_LOAD, MEASURE | EXPLAIN, ALIASES("duration"),
      TIME(plan.time_ns, SECOND, PP_NS_PER_MS, PP_CLI_YEAR_NS), .given = MEMBER(given.time),
      .such_as = "10 ({}), 500ms or 5m", .help = "how long to measure, in {} or as 500ms or 5m",
      .otherwise = "client: {}, unless there is a --count; explain: 300ms for each run" },
    { 'w', "warmup", PP_CLI_LOAD, MEASURE, ALIASES("omit"), .type = PP_CLI_OTHER,
      .given = MEMBER(plan.warmup_given), .max = COUNT_MAX, .apply = pp_cli_apply_warmup,
      .value = "TIME|COUNT",
      .takes = "a time with its unit up to a year, such as 500ms or 1s, or a number of round trips "
               "up to {}, "
               "such as 10k; 0 for none",
      .help = "what to leave out at first: a time, as 1s, or so many round trips, as 10k; 0 is "
              "none",
      .otherwise = "a tenth of the time, at most 1s; with a --count, none" },
    { 'R', "rate", PP_CLI_LOAD, MEASURE, ALIASES("mps", "qps"), RATE(plan.rate, 0.001, 1e9),
      .such_as = "1000, 50k or 1.5M, over all connections",
      .help = "messages a second over all connections, sent when they are due whatever became of "
              "those before",
      .otherwise = "as fast as the answers come" },
    { 0, "arrivals", PP_CLI_LOAD, MEASURE, CHOICE(plan.arrivals, pp_arrivals_names), ITS_DEFAULT,
      .help = "with --rate: at equal or at random distances" },
    { 0, "crr", PP_CLI_LOAD, MEASURE, FLAG(plan.crr, true),
      .help = "connect, request, response, close: a connection for each round trip" },
    { 0, "think", PP_CLI_LOAD, MEASURE, TIME(plan.think_ns, PP_NS_PER_US, 0, 60 * SECOND),
      .such_as = "100 ({}) or 1ms", ITS_DEFAULT,
      .help = "wait for so long between a response and the next request, in {} or as 1ms" },
    { 0, "verify", PP_CLI_LOAD, MEASURE, CHOICE(plan.verify, pp_verify_names), ITS_DEFAULT,
      .help = "check every byte of a response, or only how many there are, or not even that" },
    { 0, "seed", PP_CLI_LOAD, MEASURE | EXPLAIN, INTEGER(NUMBER, plan.seed, 0, SEED_MAX),
      ITS_DEFAULT,
      .help = "of sizes and arrivals drawn at random, and of the order of trials: the same seed "
              "draws the same" },
    { 0, "connect-timeout", PP_CLI_LOAD, MEASURE,
      TIME(plan.connect_timeout_ns, SECOND, PP_NS_PER_MS, PP_CLI_HOUR_NS),
      .such_as = "5 ({}) or 500ms", ITS_DEFAULT,
      .help = "give up connecting after so long, in {}" },

    { 'H', "host", PP_CLI_TRANSPORT, ALL | EXPLAIN, INTO(ADDRESS, given.host), .has_path = true,
      .value = "HOST", .takes = "a name, an address or unix:/path, without a port (that is --port)",
      ITS_DEFAULT, .normal = MEMBER(plan.target.host),
      .help = "where the server listens, and the client connects to; or unix:/path" },
    { 'p', "port", PP_CLI_TRANSPORT, ALL | EXPLAIN, INTEGER(PORT, plan.target.port, 0, UINT16_MAX),
      .given = MEMBER(given.port), ITS_DEFAULT,
      .help = "port of the server; 0 takes any free one" },
    { 'u', "udp", PP_CLI_TRANSPORT, ALL | EXPLAIN, FLAG(plan.socket.dgram, true),
      .help = "datagrams instead of streams" },
    { '4', "ipv4", PP_CLI_TRANSPORT, ALL, FLAG(given.ipv4, true),
      .help = "take a name's IPv4 address" },
    { '6', "ipv6", PP_CLI_TRANSPORT, ALL, FLAG(given.ipv6, true),
      .help = "take a name's IPv6 address; ::1 where no host is given" },
    { 'B', "bind", PP_CLI_TRANSPORT, MEASURE, INTO(ADDRESS, given.bind), .has_port = true,
      .takes = "an address of this machine, such as 10.0.0.1, 10.0.0.1:5000 or [::1]:5000",
      .help = "connect from this address of this machine" },
    { 0, "mptcp", PP_CLI_TRANSPORT, ALL, FLAG(plan.socket.mptcp, true), .help = "Multipath TCP" },
    { 0, "cc", PP_CLI_TRANSPORT, ALL, INTO(NAME, plan.socket.congestion),
      .max = sizeof((struct pp_io_socket_options *)NULL)->congestion - 1,
      .takes = "the name of a congestion control, such as cubic or bbr, of at most {} letters",
      .help = "congestion control: cubic, bbr, ...", THE_SYSTEMS },
    { 0, "nodelay", PP_CLI_TRANSPORT, ALL, CHOICE(plan.socket.nagle, nodelay_words), ITS_DEFAULT,
      .help = "off lets Nagle's algorithm hold back small messages" },
    { 0, "busy-poll", PP_CLI_TRANSPORT, ALL,
      TIME(plan.socket.busy_poll_us, PP_NS_PER_US, 0, SECOND),
      .given = MEMBER(plan.socket.busy_poll_given), .such_as = "50 ({}) or 1ms",
      .help = "let the kernel poll the network device for so long, in {}; 0: not at all",
      THE_SYSTEMS },
    { 0, "sndbuf", PP_CLI_TRANSPORT, ALL, INTEGER(SIZE, plan.socket.sndbuf, 1, SOCKET_BUFFER_MAX),
      .such_as = "65536, 64k (64,000) or 64KiB", THE_SYSTEMS,
      .help = "size of a socket's send buffer" },
    { 0, "rcvbuf", PP_CLI_TRANSPORT, ALL, INTEGER(SIZE, plan.socket.rcvbuf, 1, SOCKET_BUFFER_MAX),
      .such_as = "65536, 64k (64,000) or 64KiB", THE_SYSTEMS,
      .help = "size of a socket's receive buffer" },
    { 0, "tos", PP_CLI_TRANSPORT, ALL, INTEGER(BYTE, plan.socket.tos, 0, UINT8_MAX),
      .given = MEMBER(plan.socket.tos_given),
      .help = "the IP header's TOS or traffic class byte, as 0xb8" },
    { 0, "idle-timeout", PP_CLI_TRANSPORT, SERVE,
      TIME(plan.server_limits.idle_ns, SECOND, 0, PP_CLI_YEAR_NS),
      .given = MEMBER(given.idle_timeout), .such_as = "60 ({}), 500ms or 10m; 0 for none",
      .help = "close connections on which nothing has come or gone for so long, in {}; 0 never "
              "does",
      .otherwise = "{}, for those that say nothing at first, or do not read",
      .normal = MEMBER(plan.server_limits.silent_ns) },

    { 0, "send", PP_CLI_FOREIGN, CLIENT, PLAN_TEXT(send),
      .help = "the request, as \"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\"" },
    { 0, "expect", PP_CLI_FOREIGN, CLIENT, PLAN_TEXT(expect), .given = MEMBER(given.expect),
      .help = "the response is this text" },
    { 0, "expect-bytes", PP_CLI_FOREIGN, CLIENT,
      INTEGER(SIZE, plan.expect_bytes, 1, PP_SIZES_BYTES_MAX), .given = MEMBER(given.expect_bytes),
      .value = "N", .such_as = "512, 1k (1,000) or 4KiB",
      .help = "the response has so many bytes" },
    { 0, "expect-until", PP_CLI_FOREIGN, CLIENT, PLAN_TEXT(expect),
      .given = MEMBER(given.expect_until), .help = "the response ends with this text" },
    { 0, "server-pid", PP_CLI_FOREIGN, CLIENT, INTEGER(NUMBER, plan.server_pid, 1, PID_MAX),
      .value = "PID",
      .help = "the server is this process of this machine, and those that it has started: what it "
              "costs is read there" },
    { 0, "no-hello", PP_CLI_FOREIGN, CLIENT, FLAG(plan.hello, false),
      .help = "do not ask the server whether it is a pingpong; one that is to give responses of "
              "another size is told so all the same" },

    { 0, "engine", PP_CLI_HOW, ALL | EXPLAIN, INTO(ENGINE, plan.client_engine), ITS_DEFAULT,
      .help = "what does the I/O: {}, or auto for the fastest that works here; one asked for by "
              "name is never replaced" },
    { 0, "server-engine", PP_CLI_HOW, RUN | SERVE | EXPLAIN, INTO(ENGINE, given.server_engine),
      .help = "the same, for the server alone" },
    { 0, "wait", PP_CLI_HOW, ALL | EXPLAIN, CHOICE(plan.wait, pp_wait_names),
      .automatic = MEMBER(plan.wait_auto), .apply = pp_cli_apply_wait, .value = "HOW",
      .timed = 1U << PP_IO_WAIT_SPIN | 1U << PP_IO_WAIT_YIELD, .unit_ns = PP_NS_PER_US,
      .min = PP_NS_PER_US, .max = 60 * SECOND, ITS_DEFAULT,
      .help = "what a thread does while there is nothing to do: block (sleep), spin (look again, "
              "never sleep), yield (give the CPU away, look again; sleep after " PP_CLI_TEXT_OF(
                  PP_PLAN_LOOK_US) " {}); with a time, as in spin:20, sleep after that many "
                                   "\u00b5s" },
    { 0, "placement", PP_CLI_HOW, ALL | EXPLAIN, CHOICE(plan.placement, pp_placement_names),
      .automatic = MEMBER(plan.placement_auto), ITS_DEFAULT,
      .help = "where threads run: all on the same CPU, split (the server's on others than the "
              "client's), pairs (one of each on a CPU), or none (wherever the kernel likes)" },
    { 'A', "cpus", PP_CLI_HOW, RUN | EXPLAIN, .type = PP_CLI_OTHER,
      .apply = pp_cli_apply_cpus_of_both, .value = "C,S",
      .takes = "two CPU numbers, such as 0,1: the client's and the server's; or two lists, such as "
               "0,2-3/4-6",
      .help = "pin the client to CPU C and the server to CPU S; or LIST/LIST, as 0,2-3/4-6: a CPU "
              "for each thread" },
    { 'A', "cpus", PP_CLI_HOW, CLIENT | SERVE, .type = PP_CLI_OTHER, .apply = pp_cli_apply_cpus,
      .value = "LIST", .takes = "CPU numbers, such as 0 or 0,2-3",
      .help = "pin the threads to these CPUs, as 0,2-3" },

    { 0, "matrix", PP_CLI_TRIALS, PP_CLI_COMPARE, FLAG(experiment.matrix, true),
      .help =
          "candidates are each engine as the client's with each as the server's: those named, or "
          "all that run here" },
    { 0, "ablate", PP_CLI_TRIALS, PP_CLI_COMPARE, INTO(ENGINE, experiment.ablate),
      .help =
          "candidates are this engine, and it again without each of its features, ranked by what "
          "they are worth" },
    { 0, "rounds", PP_CLI_TRIALS, PP_CLI_COMPARE,
      INTEGER(NUMBER, experiment.rounds, 0, PP_ROUNDS_MAX), .given = MEMBER(given.rounds),
      .help = "in each round every candidate runs once, and the first one twice, in an order drawn "
              "anew; 8 or more, or with --more so many more, or 0",
      .otherwise = PP_CLI_TEXT_OF(PP_CLI_COMPARE_ROUNDS) },
    { 0, "more", PP_CLI_TRIALS, PP_CLI_COMPARE, INTO(FILE, experiment.more),
      .help = "go on with the comparison in this file, which --json has written: more --rounds of "
              "the same; with --rounds 0 it is reported again" },
    { 0, "unlike", PP_CLI_TRIALS, PP_CLI_COMPARE, FLAG(experiment.unlike, true),
      .help = "compare results of different machines, too" },
    { 0, "rounds", PP_CLI_TRIALS, PP_CLI_SWEEP,
      INTEGER(NUMBER, experiment.rounds, 1, PP_ROUNDS_MAX),
      .help = "in each round every point runs once, in an order drawn anew; with --slo a search",
      .otherwise = PP_CLI_TEXT_OF(PP_CLI_SWEEP_ROUNDS) ", or with --slo or --knee " PP_CLI_TEXT_OF(
          PP_CLI_SEARCH_ROUNDS) },
    { 0, "slo", PP_CLI_TRIALS, PP_CLI_SWEEP, .type = PP_CLI_OTHER, .apply = pp_cli_apply_slo,
      .value = "CONDITION", .takes = "a percentile below a time, such as 'p99<200us'",
      .help = "instead of a ladder, the highest rate at which this holds, with its interval, as "
              "'p99<200us'; -R LOW..HIGH says where it is looked for" },
    { 0, "knee", PP_CLI_TRIALS, PP_CLI_SWEEP, FLAG(experiment.knee, true),
      .help = "with -R LOW..HIGH: the rate from which p99 grows faster than the rate" },
    { 0, "rounds", PP_CLI_TRIALS, EXPLAIN,
      INTEGER(NUMBER, experiment.rounds, PP_EXPLAINED_ROUNDS_LEAST, PP_ROUNDS_MAX),
      .help = "in each round everything runs once, in an order drawn anew",
      .otherwise = PP_CLI_TEXT_OF(PP_CLI_EXPLAIN_ROUNDS) },
    { 0, "budget", PP_CLI_TRIALS, EXPERIMENTS,
      TIME(experiment.budget_ns, SECOND, SECOND, PP_CLI_YEAR_NS), .such_as = "60 ({}), 2m or 90s",
      .help = "all of it takes about so long, in {}: runs are as long as that allows",
      .otherwise = "runs of 1s, of explain 300ms, unless there is a --time or a --count" },
    { 0, "before", PP_CLI_TRIALS, PP_CLI_ANY_LOAD, INTO(COMMAND, experiment.before),
      .such_as = "'sysctl -q net.ipv4.tcp_autocorking=0'",
      .help = "run this before each run, server and all; if it fails, so does the run; what it "
              "leaves running ends after the run" },
    { 0, "after", PP_CLI_TRIALS, PP_CLI_ANY_LOAD, INTO(COMMAND, experiment.after),
      .help = "run this after each run, whatever came of it" },

    { 'i', "interval", PP_CLI_RESULT, MEASURE,
      TIME(plan.interval_ns, SECOND, 10 * PP_NS_PER_MS, PP_CLI_HOUR_NS),
      .such_as = "2 ({}) or 500ms",
      .help = "a line each so many {} while it runs; --csv and --json have them, too" },
    { 0, "percentiles", PP_CLI_RESULT, MEASURE, INTO(PERCENTILES, plan.quantiles),
      .given = MEMBER(plan.quantiles_given), .low = 0.001, .high = 99.99999,
      .such_as = "50,99,99.99; each once", ITS_DEFAULT,
      .help = "the percentiles of the RTT to show, as 50,99,99.99" },
    { 0, "fail-if", PP_CLI_RESULT, MEASURE, .type = PP_CLI_OTHER, .apply = pp_cli_apply_fail_if,
      .repeats = true, .value = "CONDITION",
      .takes = "figures with <, <=, >, >=, == or != and a limit, such as 'p99>200us'",
      .help = "status 3 if the result meets it: 'p99>200us', 'rate<50k', 'loss>0.1%', and other "
              "figures by their names in --json; several may follow, each in quotes. One that is "
              "n/a fails" },
    { 0, "strict", PP_CLI_RESULT, MEASURE, CHOICE(plan.strict, strict_words),
      .apply = pp_cli_apply_strict, .optional = true,
      .help = "a result whose verdict is INVALID, such as a --rate that was not held, is a "
              "failure: status 3; with suspect, one that is SUSPECT is, too" },
    { 0, "fail-if", PP_CLI_RESULT, PP_CLI_COMPARE, .type = PP_CLI_OTHER,
      .apply = pp_cli_apply_fail_if_change, .repeats = true, .value = "CONDITION",
      .takes = "cpu, rate, p50 or p99 with <, <=, > or >= and a change in percent, such as "
               "'rate<-3%'",
      .help = "status 3 if a candidate has surely changed so much against the first one: "
              "'rate<-3%', 'p99>+10%'; several may follow, each in quotes" },
    { 'J', "json", PP_CLI_RESULT, MEASURE | EXPERIMENTS | PP_CLI_ENGINES, .type = PP_CLI_FILE,
      .format = &pp_report_json, .optional = true,
      .help = "everything as JSON; without a FILE, or with -, it goes to standard output instead "
              "of the text" },
    { 0, "json-stream", PP_CLI_RESULT, MEASURE, .type = PP_CLI_FILE,
      .format = &pp_report_json_stream, .optional = true,
      .help = "a line of JSON for each interval (1s unless --interval says otherwise), and a last "
              "one with everything" },
    { 0, "histogram", PP_CLI_RESULT, MEASURE, FLAG(histogram, true),
      .help = "with --json: all of each histogram, for HdrHistogram's tools" },
    { 0, "csv", PP_CLI_RESULT, MEASURE | EXPERIMENTS, .type = PP_CLI_FILE, .format = &pp_report_csv,
      .optional = true,
      .help = "comma-separated values: a head, a row for the whole, and before it one for each "
              "--interval asked for" },
    { 0, "hlog", PP_CLI_RESULT, MEASURE, .type = PP_CLI_FILE, .format = &pp_report_hlog,
      .help = "the histogram of each interval as an HdrHistogram log" },
    { 0, "markdown", PP_CLI_RESULT, EXPERIMENTS, .type = PP_CLI_FILE, .format = &pp_report_markdown,
      .optional = true, .help = "the table as Markdown, for an issue or a pull request" },
    { 'o', "output", PP_CLI_RESULT, MEASURE | EXPERIMENTS | PP_CLI_ENGINES,
      INTO(FILE, given.output), .help = "the file for the output that has none, or for the text" },

    { 'q', "quiet", PP_CLI_OUTPUT, MEASURE, FLAG(quiet, true),
      .help = "print the rate and the time, nothing else" },
    { 'q', "quiet", PP_CLI_OUTPUT, SERVE, FLAG(quiet, true),
      .help = "print where it listens, and no sum at the end" },
    { 'v', "verbose", PP_CLI_OUTPUT, MEASURE, FLAG(verbose, true),
      .help = "print more: of the build, the host, and either side" },
    { 'v', "verbose", PP_CLI_OUTPUT, SERVE, FLAG(verbose, true),
      .help = "print more: what the engine can do here, and why none that is faster" },
    { 'q', "quiet", PP_CLI_OUTPUT, EXPERIMENTS, FLAG(quiet, true),
      .help = "print what it comes to, and nothing else: a sentence for each candidate, the table "
              "of a sweep, the advice of explain" },
    { 'v', "verbose", PP_CLI_OUTPUT, PP_CLI_SWEEP, FLAG(verbose, true),
      .help = "with --slo: each try" },
    { 'v', "verbose", PP_CLI_OUTPUT, PP_CLI_COMPARE, FLAG(verbose, true),
      .help = "print more: each trial, with its verdict" },
    { 'v', "verbose", PP_CLI_OUTPUT, EXPLAIN, FLAG(verbose, true),
      .help = "print more: the runs that the parts are differences of" },
    { 'h', "help", PP_CLI_OUTPUT, PP_CLI_ALL, .type = PP_CLI_ACTION,
      .help = "print the help, and stop" },
    { 'V', "version", PP_CLI_OUTPUT, PP_CLI_ALL, .type = PP_CLI_ACTION,
      .help = "print the version, and stop" },
};

const size_t pp_cli_option_count = COUNT_OF(pp_cli_options);
