/* The header of every UDP and Unix datagram message. It carries a number, by which answers are
 * told from duplicates and strays, and a direction, so that two servers that are made to write to
 * each other by a forged sender fall silent at once (CVE-2024-2169). */
#ifndef PP_WIRE_DATAGRAM_H
#define PP_WIRE_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define PP_DATAGRAM_HEADER_BYTES 16u
#define PP_DATAGRAM_BYTES_MAX 65507u /* of a message with its header: UDP over IPv4 */

enum pp_datagram_kind {
    PP_DATAGRAM_REQUEST, /* of a client; its answer is the same bytes as a reply */
    PP_DATAGRAM_REPLY,   /* of a server */
    PP_DATAGRAM_HELLO,   /* of a client: who are you? See wire/hello.h */
    PP_DATAGRAM_HELLO_REPLY
};

/* On the wire, in network byte order: the bytes "pp" 0x9d 0x01 (the last is the version), one byte
 * kind, three bytes reply_bytes, eight bytes number. */
struct pp_datagram {
    enum pp_datagram_kind kind;
    uint32_t reply_bytes; /* of a request: how long the reply is to be, header and all. A server
                             obeys if that is no more than it was sent. Not looked at in others */
    uint64_t number;
};

void pp_datagram_write(const struct pp_datagram *datagram, char data[PP_DATAGRAM_HEADER_BYTES]);

/* False if data is not one of ours: too short, no magic value, another version or unknown kind.
 * What reply_bytes asks for is not looked at. */
bool pp_datagram_read(struct pp_datagram *datagram, const char *data, uint32_t len);

/* Turns a request in data, which pp_datagram_read() has accepted, into its reply of that kind, in
 * place. */
void pp_datagram_turn(char *data, enum pp_datagram_kind kind);

#endif
