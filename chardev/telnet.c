/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telnet, RFC 854, 856 (binary), 857 (echo), 858 (no go-ahead). See telnet.h. */
#include "util/osdep.h"
#include "chardev/telnet.h"

enum {
    SE = 240, BREAK = 243, INTERRUPT = 244, SB = 250, WILL = 251, WONT = 252, DO = 253, DONT = 254, IAC = 255,
    OPT_BINARY = 0, OPT_ECHO = 1, OPT_SUPPRESS_GO_AHEAD = 3,
};

const uint8_t telnet_greeting[] = {
    IAC, WILL, OPT_ECHO, IAC, WILL, OPT_SUPPRESS_GO_AHEAD, IAC, WILL, OPT_BINARY, IAC, DO, OPT_BINARY,
};
const size_t telnet_greeting_size = sizeof(telnet_greeting);

/* True: @byte is data. */
static bool take(TelnetState *s, uint8_t byte, bool *brk)
{
    switch (s->state) {
    case TELNET_IAC:
        if (byte == IAC) {
            s->state = TELNET_DATA;
            return true;
        }
        *brk = *brk || byte == BREAK || byte == INTERRUPT;
        s->state = byte == SB ? TELNET_SUB : byte >= WILL && byte <= DONT ? TELNET_OPTION : TELNET_DATA;
        return false;
    case TELNET_OPTION:
        s->state = TELNET_DATA;
        return false;
    case TELNET_SUB:
        s->state = byte == IAC ? TELNET_SUB_IAC : TELNET_SUB;
        return false;
    case TELNET_SUB_IAC:
        s->state = byte == SE ? TELNET_DATA : TELNET_SUB;
        return false;
    case TELNET_CR:
        /* The other half of a line end. */
        s->state = TELNET_DATA;
        if (byte == '\0' || byte == '\n') {
            return false;
        }
        break;
    case TELNET_DATA:
        break;
    }
    if (byte == IAC) {
        s->state = TELNET_IAC;
        return false;
    }
    s->state = byte == '\r' ? TELNET_CR : TELNET_DATA;
    return true;
}

size_t telnet_input(TelnetState *s, uint8_t *buf, size_t len, bool *brk)
{
    size_t n = 0;

    *brk = false;
    for (size_t i = 0; i < len; i++) {
        if (take(s, buf[i], brk)) {
            buf[n++] = buf[i];
        }
    }
    return n;
}
