/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Line editing (readline.h). The line on the screen is always prompt and text
 * with the cursor at @pos; bytes that go to the end are only echoed, so that
 * a program that drives the monitor sees plain text.
 */
#include "util/osdep.h"
#include "monitor/hmp-internal.h"
#include "monitor/readline.h"

#define LINE_MAX_BYTES 4095
#define HISTORY_MAX 64
#define CTRL(c) ((c) & 0x1f)

typedef enum EscapeState { ESC_NONE, ESC_SEEN, ESC_CSI, ESC_SS3 } EscapeState;

struct Readline {
    const ReadlineOps *ops;
    void *opaque;
    char *prompt;
    GString *text;
    size_t pos;
    EscapeState escape;
    int parameter;              /* of a control sequence */
    GQueue *history;            /* of char * */
    int recall;                 /* how many lines back; 0: the new line */
    char *unfinished;           /* the new line while an older one is shown */
};

static void print(Readline *r, const char *text)
{
    r->ops->print(r->opaque, text);
}

/* ---- the screen ---- */

static void move_left(Readline *r, size_t columns)
{
    if (columns) {
        g_autofree char *seq = g_strdup_printf("\033[%zuD", columns);

        print(r, seq);
    }
}

static void redraw(Readline *r)
{
    print(r, "\r");
    print(r, r->prompt);
    print(r, r->text->str);
    print(r, "\033[K");
    move_left(r, r->text->len - r->pos);
}

void readline_show(Readline *r)
{
    print(r, r->prompt);
    print(r, r->text->str);
    move_left(r, r->text->len - r->pos);
}

void readline_start(Readline *r)
{
    g_string_truncate(r->text, 0);
    r->pos = 0;
    r->recall = 0;
    g_clear_pointer(&r->unfinished, g_free);
    readline_show(r);
}

/* ---- editing ---- */

static void insert(Readline *r, const char *bytes, size_t n)
{
    if (r->text->len + n > LINE_MAX_BYTES) {
        return;
    }
    g_string_insert_len(r->text, (gssize)r->pos, bytes, (gssize)n);
    r->pos += n;
    if (r->pos == r->text->len) {
        print(r, r->text->str + r->pos - n);
    } else {
        redraw(r);
    }
}

static void erase(Readline *r, size_t from, size_t to)
{
    if (from < to) {
        g_string_erase(r->text, (gssize)from, (gssize)(to - from));
        r->pos = from;
        redraw(r);
    }
}

static void move_to(Readline *r, size_t pos)
{
    if (pos != r->pos) {
        r->pos = pos;
        redraw(r);
    }
}

static size_t word_start(const Readline *r)
{
    size_t at = r->pos;

    while (at > 0 && g_ascii_isspace(r->text->str[at - 1])) {
        at--;
    }
    while (at > 0 && !g_ascii_isspace(r->text->str[at - 1])) {
        at--;
    }
    return at;
}

/* ---- history ---- */

static void show_recalled(Readline *r, int recall)
{
    const char *text;

    if (recall < 0 || recall > (int)g_queue_get_length(r->history)) {
        return;
    }
    if (r->recall == 0) {
        g_free(r->unfinished);
        r->unfinished = g_strdup(r->text->str);
    }
    text = recall ? g_queue_peek_nth(r->history, g_queue_get_length(r->history) - (guint)recall) : r->unfinished;
    r->recall = recall;
    g_string_assign(r->text, text);
    r->pos = r->text->len;
    redraw(r);
}

static void remember(Readline *r, const char *line)
{
    GList *same = g_queue_find_custom(r->history, line, (GCompareFunc)strcmp);

    if (!*line) {
        return;
    }
    /* A line that is typed again becomes the newest. */
    if (same) {
        g_free(same->data);
        g_queue_delete_link(r->history, same);
    } else if (g_queue_get_length(r->history) >= HISTORY_MAX) {
        g_free(g_queue_pop_head(r->history));
    }
    g_queue_push_tail(r->history, g_strdup(line));
}

GQueue *readline_history(Readline *r)
{
    return r->history;
}

/* ---- completion ---- */

/* How many bytes at the start all of @found share. */
static size_t common_prefix(const GPtrArray *found)
{
    const char *first = g_ptr_array_index(found, 0);
    size_t n = strlen(first);

    for (guint i = 1; i < found->len; i++) {
        const char *other = g_ptr_array_index(found, i);

        while (strncmp(first, other, n) != 0) {
            n--;
        }
    }
    return n;
}

static void list_candidates(Readline *r, const GPtrArray *found)
{
    size_t width = 1, column = 0;

    for (guint i = 0; i < found->len; i++) {
        width = MAX(width, strlen(g_ptr_array_index(found, i)) + 2);
    }
    print(r, "\n");
    for (guint i = 0; i < found->len; i++) {
        g_autofree char *cell = g_strdup_printf("%-*s", (int)width, (char *)g_ptr_array_index(found, i));

        print(r, cell);
        column += width;
        if (column + width > 80 || i + 1 == found->len) {
            print(r, "\n");
            column = 0;
        }
    }
    readline_show(r);
}

static void complete(Readline *r)
{
    g_autofree char *before = g_strndup(r->text->str, r->pos);
    g_autoptr(GPtrArray) found = r->ops->complete(r->opaque, before);
    size_t typed = strlen(hmp_last_word(before));
    const char *first;
    size_t n;

    if (!found->len) {
        return;
    }
    first = g_ptr_array_index(found, 0);
    n = common_prefix(found);
    if (n > typed) {
        insert(r, first + typed, n - typed);
    }
    if (found->len == 1) {
        if (!n || first[n - 1] != '/') {
            insert(r, " ", 1);
        }
    } else if (n <= typed) {
        list_candidates(r, found);
    }
}

/* ---- keys ---- */

static void finish_line(Readline *r)
{
    g_autofree char *line = g_strdup(r->text->str);

    print(r, "\n");
    remember(r, line);
    g_string_truncate(r->text, 0);
    r->pos = 0;
    r->recall = 0;
    r->ops->line(r->opaque, line);
}

static void control_key(Readline *r, uint8_t byte)
{
    switch (byte) {
    case '\r':
    case '\n':
        finish_line(r);
        break;
    case '\t':
        complete(r);
        break;
    case CTRL('A'):
        move_to(r, 0);
        break;
    case CTRL('E'):
        move_to(r, r->text->len);
        break;
    case CTRL('B'):
        move_to(r, r->pos ? r->pos - 1 : 0);
        break;
    case CTRL('F'):
        move_to(r, MIN(r->pos + 1, r->text->len));
        break;
    case CTRL('D'):
        erase(r, r->pos, MIN(r->pos + 1, r->text->len));
        break;
    case CTRL('H'):
    case 127:
        erase(r, r->pos ? r->pos - 1 : 0, r->pos);
        break;
    case CTRL('K'):
        g_string_truncate(r->text, r->pos);
        redraw(r);
        break;
    case CTRL('U'):
        erase(r, 0, r->pos);
        break;
    case CTRL('W'):
        erase(r, word_start(r), r->pos);
        break;
    case CTRL('L'):
        print(r, "\033[2J\033[1;1H");
        readline_show(r);
        break;
    case CTRL('P'):
        show_recalled(r, r->recall + 1);
        break;
    case CTRL('N'):
        show_recalled(r, r->recall - 1);
        break;
    case '\033':
        r->escape = ESC_SEEN;
        break;
    default:
        break;
    }
}

static void cursor_key(Readline *r, uint8_t final)
{
    switch (final) {
    case 'A':
        show_recalled(r, r->recall + 1);
        break;
    case 'B':
        show_recalled(r, r->recall - 1);
        break;
    case 'C':
        control_key(r, CTRL('F'));
        break;
    case 'D':
        control_key(r, CTRL('B'));
        break;
    case 'H':
        move_to(r, 0);
        break;
    case 'F':
        move_to(r, r->text->len);
        break;
    case '~':
        if (r->parameter == 1 || r->parameter == 7) {
            move_to(r, 0);
        } else if (r->parameter == 4 || r->parameter == 8) {
            move_to(r, r->text->len);
        } else if (r->parameter == 3) {
            control_key(r, CTRL('D'));
        }
        break;
    default:
        break;
    }
}

static void escape_byte(Readline *r, uint8_t byte)
{
    if (r->escape == ESC_SEEN) {
        r->escape = byte == '[' ? ESC_CSI : byte == 'O' ? ESC_SS3 : ESC_NONE;
        r->parameter = 0;
    } else if (r->escape == ESC_CSI && g_ascii_isdigit(byte)) {
        r->parameter = MIN(r->parameter * 10 + byte - '0', 999);
    } else if (r->escape == ESC_CSI && byte >= 0x20 && byte < 0x40) {
        r->parameter = 0;
    } else {
        r->escape = ESC_NONE;
        cursor_key(r, byte);
    }
}

void readline_input(Readline *r, uint8_t byte)
{
    char c = (char)byte;

    if (r->escape != ESC_NONE) {
        escape_byte(r, byte);
    } else if (byte < 0x20 || byte == 127) {
        control_key(r, byte);
    } else {
        insert(r, &c, 1);
    }
}

/* ---- life ---- */

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque)
{
    Readline *r = g_new0(Readline, 1);

    r->ops = ops;
    r->opaque = opaque;
    r->prompt = g_strdup(prompt);
    r->text = g_string_new(NULL);
    r->history = g_queue_new();
    return r;
}

void readline_free(Readline *r)
{
    if (r) {
        g_free(r->prompt);
        g_free(r->unfinished);
        g_string_free(r->text, TRUE);
        g_queue_free_full(r->history, g_free);
        g_free(r);
    }
}
