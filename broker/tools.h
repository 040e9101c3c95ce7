/*
 * tools: what `broker` does besides being a broker. Each takes its own command line (argv[0] is the tool's
 * name) and returns an exit status: 0, 1 for a failure, 2 for a command line that makes no sense.
 */
#ifndef BROKER_TOOLS_H
#define BROKER_TOOLS_H

/* broker wire: decode and explain bytes of the protocol. */
int wire_main(int argc, char **argv);
/* broker dump: print what the store holds. */
int dump_main(int argc, char **argv);
/* broker backup: copy the store while the broker runs. */
int backup_main(int argc, char **argv);

#endif
