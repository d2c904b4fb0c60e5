/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of system/options.c: names, phases, parameters, introspection. */
#include "util/osdep.h"
#include "qapi-commands.h"
#include "system/options.h"
#include "system/startup.h"

StartupConfig startup;

typedef struct Params {
    bool has_number, flag;
    char *text;
    uint64_t number, size;
} Params;

static GString *journal;

static bool apply(const char *arg, Error **errp)
{
    if (arg && strcmp(arg, "bad") == 0) {
        error_setg(errp, "it is bad");
        return false;
    }
    g_string_append_printf(journal, "(%s) ", arg ? arg : "");
    return true;
}

static const OptionParam params[] = {
    PARAM(Params, text, "text", STRING, "a text"),
    PARAM(Params, flag, "flag", BOOLEAN, NULL),
    PARAM_HAS(Params, number, "number", NUMBER, NULL),
    PARAM(Params, size, "size", SIZE, NULL),
    PARAM_SHOWN("shown", STRING, NULL),
    PARAM_END
};

const Option option_table[] = {
    { .name = "", .help = "Section" },
    { .name = "early", .arg = "X", .phase = PHASE_CONFIG, .apply = apply },
    { .name = "late", .arg = "X", .phase = PHASE_DEVICES, .apply = apply, .has_help = true,
      .group = "later", .params = params },
    { .name = "flag", .phase = PHASE_CONFIG, .apply = apply, .group = "flag" },
    { .name = NULL }
};

static bool parse(const char *line)
{
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);
    static char **keep;         /* options_parse() keeps the words */

    g_strfreev(keep);
    keep = g_strdupv(argv);
    return options_parse(g_strv_length(keep), keep);
}

static void sink(const char *text, void *opaque)
{
    g_string_append(opaque, text);
}

static void reports(const char *line, OptionPhase phase, const char *message)
{
    GString *text = g_string_new(NULL);

    report_set_sink(sink, text);
    g_assert_false(parse(line) && options_apply(phase));
    report_set_sink(NULL, NULL);
    if (!strstr(text->str, message)) {
        g_error("'%s' lacks '%s'", text->str, message);
    }
    g_string_free(text, TRUE);
}

static void test_parse(void)
{
    g_assert_true(parse("prog -late b --early a -flag"));
    g_assert_true(options_apply(PHASE_CONFIG));
    g_assert_cmpstr(journal->str, ==, "(a) () ");
    g_assert_true(options_apply(PHASE_DEVICES));
    g_assert_cmpstr(journal->str, ==, "(a) () (b) ");
    g_string_truncate(journal, 0);
    g_assert_true(parse("prog -late x,help"));
    g_assert_true(options_apply(PHASE_CONFIG));
    g_assert_cmpstr(journal->str, ==, "(x,help) ");
    g_string_truncate(journal, 0);
}

static void test_errors(void)
{
    reports("prog -nope", PHASE_CONFIG, "-nope: invalid option");
    reports("prog --nope", PHASE_CONFIG, "--nope: invalid option");
    reports("prog -early", PHASE_CONFIG, "-early: requires an argument");
    reports("prog disk.img", PHASE_CONFIG, "disk.img: ");
    reports("prog -early bad", PHASE_CONFIG, "it is bad");
}

static void params_fail(const char *text, const char *message)
{
    Params p = { 0 };
    Error *err = NULL;

    g_assert_false(option_parse_params(text, "text", params, &p, &err));
    g_assert_cmpstr(error_message(err), ==, message);
    g_assert_null(p.text);
    error_free(err);
}

static void test_params(void)
{
    Params p = { 0 };

    option_parse_params("hello,flag=on,number=0x10,size=2k", "text", params, &p, &error_abort);
    g_assert_cmpstr(p.text, ==, "hello");
    g_assert_true(p.flag && p.has_number);
    g_assert_cmpuint(p.number, ==, 16);
    g_assert_cmpuint(p.size, ==, 2048);
    option_free_params(params, &p);
    params_fail("a,nope=1", "Invalid parameter 'nope'");
    params_fail("a,shown=1", "Invalid parameter 'shown'");
    params_fail("a,flag=3", "Parameter 'flag' expects 'on' or 'off'");
    params_fail("a,number=x", "Parameter 'number' expects a number");
}

static void test_introspection(void)
{
    QmpQueryCommandLineOptionsArgs args = { 0 };
    CommandLineOptionInfoList *list = qmp_query_command_line_options(&args, &error_abort);
    Error *err = NULL;

    g_assert_cmpstr(list->value->option, ==, "later");
    g_assert_cmpstr(list->value->parameters->value->name, ==, "text");
    g_assert_cmpstr(list->next->value->option, ==, "flag");
    g_assert_null(list->next->value->parameters);
    qapi_free_CommandLineOptionInfoList(list);
    args.option = (char *)"nope";
    g_assert_null(qmp_query_command_line_options(&args, &err));
    g_assert_cmpstr(error_message(err), ==, "invalid option name: nope");
    error_free(err);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    journal = g_string_new(NULL);
    g_test_add_func("/options/parse", test_parse);
    g_test_add_func("/options/errors", test_errors);
    g_test_add_func("/options/params", test_params);
    g_test_add_func("/options/introspection", test_introspection);
    return g_test_run();
}
