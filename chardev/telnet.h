/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The telnet protocol (RFC 854) as far as a console server needs it: it offers
 * to echo and not to wait for lines, in binary; what the client says about
 * options is skipped. Any thread, one at a time. Input is the client's.
 */
#ifndef CHARDEV_TELNET_H
#define CHARDEV_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TelnetState {
    enum { TELNET_DATA, TELNET_IAC, TELNET_OPTION, TELNET_SUB, TELNET_SUB_IAC, TELNET_CR } state;
} TelnetState;

/* What to send to a new client. */
extern const uint8_t telnet_greeting[];
extern const size_t telnet_greeting_size;

/* Leave only data in @buf; its length. *@brk is set when the client sent a break. */
size_t telnet_input(TelnetState *s, uint8_t *buf, size_t len, bool *brk);

#endif
