/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON parser (RFC 8259, with 'single quotes' as QMP allows them): a lexer
 * that takes bytes as they come, and a push parser with an explicit stack that
 * builds the value while tokens arrive.
 *
 * A lexical error is reported at once and forgets the unfinished value; what
 * follows is skipped up to a bracket, brace, comma, colon or control character
 * (not a tab), or the bytes FE and FF, which are errors everywhere. A
 * grammar error is kept until brackets and braces balance, so that one faulty
 * value gives one error and the next one is found again.
 *
 * Thread: whoever owns the stream. Trust: the text is hostile; token bytes,
 * token count and depth are limited, and nothing recurses.
 */
#include "util/osdep.h"
#include "qapi/json-internal.h"

#define MAX_BYTES (64 * MIB)
#define MAX_TOKENS (UINT64_C(2) << 20)
#define MAX_DEPTH 1024
/* How much of a stray token an error quotes. */
#define MAX_QUOTE 100

typedef enum LexState {
    LEX_START, LEX_STRING, LEX_ESCAPE, LEX_KEYWORD, LEX_RECOVERY,
    LEX_MINUS, LEX_ZERO, LEX_INT, LEX_POINT, LEX_FRACTION, LEX_E, LEX_E_SIGN, LEX_EXPONENT,
} LexState;

typedef enum TokenKind {
    TOKEN_PUNCT, TOKEN_STRING, TOKEN_INTEGER, TOKEN_FLOAT, TOKEN_KEYWORD,
} TokenKind;

/* What may come next in an array or object. */
typedef enum Expect {
    EXPECT_FIRST,               /* a value (object: a key) or the end */
    EXPECT_ITEM,                /* after a comma: a value, or a key */
    EXPECT_COLON,
    EXPECT_VALUE,               /* after a colon */
    EXPECT_SEPARATOR,
} Expect;

typedef struct Frame {
    JsonValue *value;           /* array or object */
    char *key;                  /* the member that is being read */
    Expect expect;
} Frame;

struct JsonStream {
    JsonStreamEmit *emit;
    void *opaque;
    LexState state;
    char quote;
    GString *token;
    uint64_t bytes, tokens;     /* of the value so far */
    int braces, brackets;       /* open ones; may go negative */
    GArray *stack;              /* of Frame */
    JsonValue *result;
    char *error;                /* grammar error of this value */
};

static void stack_clear(JsonStream *s)
{
    for (unsigned i = 0; i < s->stack->len; i++) {
        Frame *f = &g_array_index(s->stack, Frame, i);

        json_unref(f->value);
        g_free(f->key);
    }
    g_array_set_size(s->stack, 0);
    g_clear_pointer(&s->result, json_unref);
}

/* Back to top level with nothing read. */
static void reset_value(JsonStream *s)
{
    stack_clear(s);
    g_clear_pointer(&s->error, g_free);
    s->bytes = s->tokens = 0;
    s->braces = s->brackets = 0;
}

static void reset_token(JsonStream *s)
{
    if (s->token->allocated_len > 64 * KIB) {
        g_string_free(s->token, TRUE);
        s->token = g_string_new(NULL);
    } else {
        g_string_truncate(s->token, 0);
    }
    s->state = LEX_START;
}

/* A lexical error or a limit: the value is lost, the next byte starts anew. */
static void fail_now(JsonStream *s, const char *message)
{
    reset_value(s);
    reset_token(s);
    s->emit(s->opaque, NULL, message);
}

/* The same inside a token, of which the rest is skipped. */
static void fail_token(JsonStream *s, const char *message)
{
    fail_now(s, message);
    s->state = LEX_RECOVERY;
}

static void fail_stray(JsonStream *s)
{
    g_autofree char *message = NULL;

    /* %.*s: a stray NUL byte shows as nothing. */
    message = g_strdup_printf("JSON parse error, stray '%.*s'", MAX_QUOTE, s->token->str);
    fail_token(s, message);
}

/* A grammar error: remembered until the brackets balance. */
static void PRINTF_LIKE(2, 3) fail_later(JsonStream *s, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    if (s->error != NULL) {
        return;
    }
    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    s->error = g_strdup_printf("JSON parse error, %s", text);
    stack_clear(s);
}

/* ---- scalars ---- */

/* Four hex digits at @p, or -1. */
static int32_t hex4(const char *p)
{
    int32_t v = 0;

    for (int i = 0; i < 4; i++) {
        if (!g_ascii_isxdigit(p[i])) {
            return -1;
        }
        v = v << 4 | g_ascii_xdigit_value(p[i]);
    }
    return v;
}

/* The digits of \\u at *@p; moves *@p behind them. -1 when it is no character. */
static int32_t unescape_unicode(const char **p)
{
    int32_t cp = hex4(*p), low;

    if (cp >= 0xd800 && cp < 0xdc00) {
        low = (*p)[4] == '\\' && (*p)[5] == 'u' ? hex4(*p + 6) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            return -1;
        }
        cp = 0x10000 + ((cp & 0x3ff) << 10 | (low & 0x3ff));
        *p += 10;
    } else if (cp < 0 || (cp >= 0xdc00 && cp < 0xe000)) {
        return -1;
    } else {
        *p += 4;
    }
    if ((cp & 0xfffe) == 0xfffe || (cp >= 0xfdd0 && cp <= 0xfdef)) {
        return -1;
    }
    return cp;
}

/* How many characters from @p on are ASCII and no escape. */
static size_t plain_length(const char *p, const char *end)
{
    const char *start = p;

    while (p < end && *p != '\\' && (uint8_t)*p < 0x80) {
        p++;
    }
    return (size_t)(p - start);
}

/* The text between the quotes of the token, or NULL with an error. */
static char *unescape(JsonStream *s)
{
    static const char from[] = "bfnrt/\\\"'", to[] = "\b\f\n\r\t/\\\"'";
    g_autoptr(GString) out = NULL;
    const char *p = s->token->str + 1, *end = s->token->str + s->token->len - 1;

    if (plain_length(p, end) == (size_t)(end - p)) {
        return g_strndup(p, (gsize)(end - p));
    }
    out = g_string_sized_new(s->token->len);

    while (p < end) {
        const char *run = p, *which;

        p += plain_length(p, end);
        g_string_append_len(out, run, p - run);
        if (p == end) {
            break;
        }
        if (*p != '\\') {
            run = p;
            if (json_next_utf8(p, &p) < 0) {
                fail_later(s, "invalid UTF-8 sequence in string");
                return NULL;
            }
            g_string_append_len(out, run, p - run);
        } else if (p[1] == 'u') {
            const char *digits = p + 2;
            int32_t cp = unescape_unicode(&digits);

            if (cp < 0) {
                fail_later(s, "\\u%.4s is not a valid Unicode character", p + 2);
                return NULL;
            }
            json_append_utf8(out, (uint32_t)cp);
            p = digits;
        } else {
            which = strchr(from, p[1]);
            if (which == NULL) {
                fail_later(s, "invalid escape sequence in string");
                return NULL;
            }
            g_string_append_c(out, to[which - from]);
            p += 2;
        }
    }
    return g_strdup(out->str);
}

static JsonValue *number(const char *text, bool integer)
{
    char *end;

    if (integer) {
        errno = 0;
        int64_t i = g_ascii_strtoll(text, &end, 10);
        if (errno == 0) {
            return json_int(i);
        }
        if (text[0] != '-') {
            errno = 0;
            uint64_t u = g_ascii_strtoull(text, &end, 10);
            if (errno == 0) {
                return json_uint(u);
            }
        }
    }
    return json_double(g_ascii_strtod(text, NULL));
}

/* The value of a scalar token, or NULL with an error. */
static JsonValue *scalar(JsonStream *s, TokenKind kind)
{
    const char *text = s->token->str;
    char *str;

    switch (kind) {
    case TOKEN_STRING:
        str = unescape(s);
        return str != NULL ? json_string_take(str) : NULL;
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
        return number(text, kind == TOKEN_INTEGER);
    case TOKEN_KEYWORD:
        if (strcmp(text, "true") == 0) {
            return json_bool(true);
        } else if (strcmp(text, "false") == 0) {
            return json_bool(false);
        } else if (strcmp(text, "null") == 0) {
            return json_null();
        }
        fail_later(s, "invalid keyword '%.*s'", MAX_QUOTE, text);
        return NULL;
    default:
        fail_later(s, "expecting value");
        return NULL;
    }
}

/* ---- grammar ---- */

static Frame *top(JsonStream *s)
{
    return s->stack->len > 0 ? &g_array_index(s->stack, Frame, s->stack->len - 1) : NULL;
}

/* A finished value, into what surrounds it. */
static void put_value(JsonStream *s, JsonValue *v)
{
    Frame *f = top(s);

    if (f == NULL) {
        s->result = v;
        return;
    }
    if (f->value->kind == JSON_ARRAY) {
        json_array_add_take(f->value, v);
    } else {
        json_object_set_take(f->value, f->key, v);
        g_clear_pointer(&f->key, g_free);
    }
    f->expect = EXPECT_SEPARATOR;
}

static void put_key(JsonStream *s, Frame *f, TokenKind kind)
{
    g_autoptr(JsonValue) key = NULL;
    char punct = s->token->str[0];

    if (kind == TOKEN_PUNCT && (punct == '{' || punct == '[')) {
        fail_later(s, "key is not a string in object");
        return;
    }
    key = scalar(s, kind);
    if (key == NULL) {
        return;
    }
    if (key->kind != JSON_STRING) {
        fail_later(s, "key is not a string in object");
    } else if (json_object_has(f->value, key->s)) {
        fail_later(s, "duplicate key");
    } else {
        f->key = g_strdup(key->s);
        f->expect = EXPECT_COLON;
    }
}

static void close_frame(JsonStream *s)
{
    Frame f = *top(s);

    g_array_set_size(s->stack, s->stack->len - 1);
    put_value(s, f.value);
}

static void open_frame(JsonStream *s, char punct)
{
    Frame f = { .value = punct == '{' ? json_object() : json_array(), .expect = EXPECT_FIRST };

    g_array_append_val(s->stack, f);
}

static void put_item(JsonStream *s, TokenKind kind, char punct)
{
    JsonValue *v;

    if (punct == '{' || punct == '[') {
        open_frame(s, punct);
        return;
    }
    v = scalar(s, kind);
    if (v != NULL) {
        put_value(s, v);
    }
}

/* One token of a value that is not at fault yet. */
static void parse_token(JsonStream *s, TokenKind kind)
{
    char punct = kind == TOKEN_PUNCT ? s->token->str[0] : '\0';
    Frame *f = top(s);
    bool object;

    if (f == NULL) {
        put_item(s, kind, punct);
        return;
    }
    object = f->value->kind == JSON_OBJECT;
    if ((f->expect == EXPECT_FIRST || f->expect == EXPECT_SEPARATOR) && punct == (object ? '}' : ']')) {
        close_frame(s);
    } else if (f->expect == EXPECT_SEPARATOR) {
        if (punct == ',') {
            f->expect = EXPECT_ITEM;
        } else {
            fail_later(s, "expected separator in %s", object ? "dict" : "list");
        }
    } else if (f->expect == EXPECT_COLON) {
        if (punct == ':') {
            f->expect = EXPECT_VALUE;
        } else {
            fail_later(s, "missing : in object pair");
        }
    } else if (object && f->expect != EXPECT_VALUE) {
        put_key(s, f, kind);
    } else {
        put_item(s, kind, punct);
    }
}

static void emit_value(JsonStream *s)
{
    g_autofree char *error = g_steal_pointer(&s->error);
    JsonValue *v = NULL;

    if (error == NULL) {
        v = g_steal_pointer(&s->result);
        assert(v != NULL);
    }
    reset_value(s);
    s->emit(s->opaque, v, error);
}

/* The token is complete. Returns false when it ended in a limit error. */
static bool token_done(JsonStream *s, TokenKind kind)
{
    s->bytes += s->token->len;
    s->tokens++;
    if (kind == TOKEN_PUNCT) {
        switch (s->token->str[0]) {
        case '{':
            s->braces++;
            break;
        case '}':
            s->braces--;
            break;
        case '[':
            s->brackets++;
            break;
        case ']':
            s->brackets--;
            break;
        }
    }
    if (s->bytes > MAX_BYTES) {
        fail_now(s, "JSON token size limit exceeded");
        return false;
    }
    if (s->tokens > MAX_TOKENS) {
        fail_now(s, "JSON token count limit exceeded");
        return false;
    }
    if (s->braces + s->brackets > MAX_DEPTH) {
        fail_now(s, "JSON nesting depth limit exceeded");
        return false;
    }
    if (s->error == NULL) {
        parse_token(s, kind);
    }
    reset_token(s);
    if (s->braces < 0 || s->brackets < 0 || (s->braces == 0 && s->brackets == 0)) {
        emit_value(s);
    }
    return true;
}

/* ---- lexer ---- */

static bool is_punct(char c)
{
    return c != '\0' && strchr("{}[],:", c) != NULL;
}

/* Whether @c ends the skipping after an error. */
static bool ends_recovery(char c)
{
    return is_punct(c) || (uint8_t)c >= 0xfe || ((uint8_t)c < 0x20 && c != '\t');
}

static void lex_start(JsonStream *s, char c)
{
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        return;
    }
    g_string_append_c(s->token, c);
    if (is_punct(c)) {
        token_done(s, TOKEN_PUNCT);
    } else if (c == '"' || c == '\'') {
        s->quote = c;
        s->state = LEX_STRING;
    } else if (c == '-') {
        s->state = LEX_MINUS;
    } else if (c == '0') {
        s->state = LEX_ZERO;
    } else if (c >= '1' && c <= '9') {
        s->state = LEX_INT;
    } else if (c >= 'a' && c <= 'z') {
        s->state = LEX_KEYWORD;
    } else {
        fail_stray(s);
    }
}

/* Inside a string: takes as much of @data as it can. Returns the bytes used. */
static size_t lex_string(JsonStream *s, const char *data, size_t len)
{
    size_t n = 0;

    if (s->state == LEX_ESCAPE) {
        g_string_append_c(s->token, data[0]);
        if ((uint8_t)data[0] < 0x20 || (uint8_t)data[0] >= 0xfe) {
            fail_stray(s);
        } else {
            s->state = LEX_STRING;
        }
        return 1;
    }
    while (n < len && data[n] != s->quote && data[n] != '\\' && (uint8_t)data[n] >= 0x20 &&
           (uint8_t)data[n] < 0xfe) {
        n++;
    }
    if (s->token->len + n > MAX_BYTES) {
        fail_token(s, "JSON token size limit exceeded");
        return n;
    }
    g_string_append_len(s->token, data, (gssize)n);
    if (n == len) {
        return n;
    }
    g_string_append_c(s->token, data[n]);
    if (data[n] == s->quote) {
        token_done(s, TOKEN_STRING);
    } else if (data[n] == '\\') {
        s->state = LEX_ESCAPE;
    } else {
        fail_stray(s);
    }
    return n + 1;
}

/*
 * The state after @c in a number, LEX_START when @c ends it, -1 when @c is at
 * fault.
 */
static int number_next(LexState state, char c)
{
    bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';

    switch (state) {
    case LEX_MINUS:
        return c == '0' ? LEX_ZERO : digit ? LEX_INT : -1;
    case LEX_ZERO:
        return digit ? -1 : c == '.' ? LEX_POINT : e ? LEX_E : LEX_START;
    case LEX_INT:
        return digit ? LEX_INT : c == '.' ? LEX_POINT : e ? LEX_E : LEX_START;
    case LEX_POINT:
        return digit ? LEX_FRACTION : -1;
    case LEX_FRACTION:
        return digit ? LEX_FRACTION : e ? LEX_E : LEX_START;
    case LEX_E:
        return digit ? LEX_EXPONENT : c == '-' || c == '+' ? LEX_E_SIGN : -1;
    case LEX_E_SIGN:
        return digit ? LEX_EXPONENT : -1;
    default:
        return digit ? LEX_EXPONENT : LEX_START;
    }
}

/* In a number or keyword. Returns false when @c belongs to what follows. */
static bool lex_word(JsonStream *s, char c)
{
    TokenKind kind;
    int next;

    if (s->state == LEX_KEYWORD) {
        kind = TOKEN_KEYWORD;
        next = c >= 'a' && c <= 'z' ? LEX_KEYWORD : LEX_START;
    } else {
        kind = s->state == LEX_INT || s->state == LEX_ZERO ? TOKEN_INTEGER : TOKEN_FLOAT;
        next = number_next(s->state, c);
    }
    if (next == LEX_START) {
        token_done(s, kind);
        return false;
    }
    g_string_append_c(s->token, c);
    if (next < 0) {
        fail_stray(s);
    } else if (s->token->len > MAX_BYTES) {
        fail_token(s, "JSON token size limit exceeded");
    } else {
        s->state = (LexState)next;
    }
    return true;
}

void json_stream_feed(JsonStream *s, const char *data, size_t len)
{
    size_t i = 0;

    while (i < len) {
        if (s->state == LEX_RECOVERY) {
            if (ends_recovery(data[i])) {
                s->state = LEX_START;
            } else {
                i++;
            }
        } else if (s->state == LEX_START) {
            lex_start(s, data[i++]);
        } else if (s->state == LEX_STRING || s->state == LEX_ESCAPE) {
            i += lex_string(s, data + i, len - i);
        } else if (lex_word(s, data[i])) {
            i++;
        }
    }
}

void json_stream_flush(JsonStream *s)
{
    switch (s->state) {
    case LEX_START:
    case LEX_RECOVERY:
        break;
    case LEX_KEYWORD:
    case LEX_ZERO:
    case LEX_INT:
    case LEX_FRACTION:
    case LEX_EXPONENT:
        lex_word(s, ' ');       /* ends it */
        break;
    default:
        fail_stray(s);
        return;
    }
    if (s->tokens > 0) {
        fail_later(s, "premature EOI");
        emit_value(s);
    }
}

JsonStream *json_stream_new(JsonStreamEmit *emit, void *opaque)
{
    JsonStream *s = g_new0(JsonStream, 1);

    s->emit = emit;
    s->opaque = opaque;
    s->token = g_string_new(NULL);
    s->stack = g_array_new(FALSE, FALSE, sizeof(Frame));
    return s;
}

void json_stream_free(JsonStream *s)
{
    if (s != NULL) {
        reset_value(s);
        g_array_free(s->stack, TRUE);
        g_string_free(s->token, TRUE);
        g_free(s);
    }
}

/* ---- one whole value ---- */

typedef struct Single {
    JsonValue *value;
    char *error;
} Single;

static void single_emit(void *opaque, JsonValue *v, const char *error)
{
    Single *one = opaque;

    if (one->error == NULL && one->value != NULL) {
        one->error = g_strdup("Expecting at most one JSON value");
    } else if (one->error == NULL && v == NULL) {
        one->error = g_strdup(error);
    } else if (one->value == NULL) {
        one->value = v;
        return;
    }
    json_unref(v);
}

JsonValue *json_parse(const char *text, size_t len, Error **errp)
{
    Single one = { NULL, NULL };
    JsonStream *s = json_stream_new(single_emit, &one);

    json_stream_feed(s, text, len);
    json_stream_flush(s);
    json_stream_free(s);
    if (one.error == NULL && one.value == NULL) {
        one.error = g_strdup("Expecting a JSON value");
    }
    if (one.error != NULL) {
        error_setg(errp, "%s", one.error);
        json_unref(one.value);
        g_free(one.error);
        return NULL;
    }
    return one.value;
}
