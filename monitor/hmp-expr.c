/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expressions of the human monitor: numbers in C notation, 'c', $register,
 * ( ), + - ~ before a term; * / %, then & | ^, then + - between terms. Main
 * thread. The text is the user's; nesting is bounded.
 */
#include "util/osdep.h"
#include "monitor/hmp-internal.h"

#define DEPTH_MAX 64
#define REGISTER_NAME_MAX 64

typedef struct Expr {
    const char *p;
    int cpu_index;
    int depth;
    Error *err;
} Expr;

static HmpRegisterLookup *register_lookup;

void hmp_set_register_lookup(HmpRegisterLookup *lookup)
{
    register_lookup = lookup;
}

static int64_t sum(Expr *e);

static void skip_blanks(Expr *e)
{
    while (g_ascii_isspace(*e->p)) {
        e->p++;
    }
}

static int64_t fail(Expr *e, const char *text)
{
    if (!e->err) {
        error_setg(&e->err, "%s", text);
    }
    return 0;
}

static int64_t parse_register(Expr *e)
{
    char name[REGISTER_NAME_MAX];
    size_t n = 0;
    int64_t value;

    e->p++;
    while (g_ascii_isalnum(*e->p) || *e->p == '_' || *e->p == '.' || *e->p == ':') {
        if (n + 1 < sizeof(name)) {
            name[n++] = *e->p;
        }
        e->p++;
    }
    name[n] = '\0';
    if (!register_lookup || !register_lookup(e->cpu_index, name, &value)) {
        return fail(e, "unknown register");
    }
    return value;
}

static int64_t parse_number(Expr *e)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = g_ascii_strtoull(e->p, &end, 0);
    if (errno == ERANGE) {
        return fail(e, "number too large");
    }
    if (end == e->p) {
        g_autofree char *text = g_strdup_printf("invalid char '%c' in expression", *e->p);

        return fail(e, text);
    }
    e->p = end;
    return (int64_t)value;
}

static int64_t parse_character(Expr *e)
{
    int64_t value;

    if (!e->p[1] || e->p[2] != '\'') {
        return fail(e, "character constant expected");
    }
    value = (uint8_t)e->p[1];
    e->p += 3;
    return value;
}

static int64_t parenthesis(Expr *e)
{
    int64_t value;

    e->p++;
    value = sum(e);
    skip_blanks(e);
    if (*e->p != ')') {
        return fail(e, "')' expected");
    }
    e->p++;
    return value;
}

static int64_t term(Expr *e)
{
    int64_t value = 0;
    char sign;

    skip_blanks(e);
    if (e->err || ++e->depth > DEPTH_MAX) {
        return fail(e, "expression too deep");
    }
    switch (*e->p) {
    case '+':
    case '-':
    case '~':
        sign = *e->p++;
        value = term(e);
        value = sign == '-' ? (int64_t)-(uint64_t)value : sign == '~' ? ~value : value;
        break;
    case '(':
        value = parenthesis(e);
        break;
    case '\'':
        value = parse_character(e);
        break;
    case '$':
        value = parse_register(e);
        break;
    case '\0':
        fail(e, "unexpected end of expression");
        break;
    default:
        value = parse_number(e);
    }
    e->depth--;
    return value;
}

/* The operator at the place, if it is one of @which. */
static char take_operator(Expr *e, const char *which)
{
    skip_blanks(e);
    return *e->p && strchr(which, *e->p) && !e->err ? *e->p++ : '\0';
}

static int64_t product(Expr *e)
{
    int64_t value = term(e);
    char op;

    while ((op = take_operator(e, "*/%"))) {
        int64_t right = term(e);

        if (op == '*') {
            value = (int64_t)((uint64_t)value * (uint64_t)right);
        } else if (e->err || right == 0) {
            return fail(e, "division by zero");
        } else if (right == -1) {
            /* The one quotient that does not fit is left alone. */
            value = op == '/' ? (int64_t)-(uint64_t)value : 0;
        } else {
            value = op == '/' ? value / right : value % right;
        }
    }
    return value;
}

static int64_t logic(Expr *e)
{
    int64_t value = product(e);
    char op;

    while ((op = take_operator(e, "&|^"))) {
        int64_t right = product(e);

        value = op == '&' ? value & right : op == '|' ? value | right : value ^ right;
    }
    return value;
}

static int64_t sum(Expr *e)
{
    uint64_t value = logic(e);
    char op;

    while ((op = take_operator(e, "+-"))) {
        uint64_t right = logic(e);

        value = op == '+' ? value + right : value - right;
    }
    return (int64_t)value;
}

bool hmp_parse_expression(const char **p, int cpu_index, int64_t *value, Error **errp)
{
    Expr e = { .p = *p, .cpu_index = cpu_index };

    *value = sum(&e);
    skip_blanks(&e);
    *p = e.p;
    if (e.err) {
        error_propagate(errp, e.err);
        return false;
    }
    return true;
}
