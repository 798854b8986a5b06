/* Every kind, code and composite through every check; an op without a case fails. */
#include "gradcheck.h"

#include "base/mem.h"
#include "testing.h"

#include <stdio.h>

static void (*const checks[])(const gc_case *c) = {
    gc_check_first_order, gc_check_second_order, gc_check_adjoint,
    gc_check_closure,     gc_check_body,
};

/* In the order of gc_table; what comes after are whole models. */
static const gc_case *const tables[] = {gc_cases_kinds, gc_cases_ew, gc_cases_composite,
                                        gc_cases_models};

static const char *op_text(gc_table table, int op) {
    switch (table) {
    case GC_KIND:
        return lm_kind_get(op)->text;
    case GC_EW:
        return lm_ew_get(op)->text;
    case GC_COMPOSITE:
        return lm_composite_text(op);
    default:
        return "model";
    }
}

static void test_every_op_has_a_case(void **state) {
    const int count[] = {LM_KIND_COUNT, LM_EW_COUNT, LM_COMP_COUNT};
    for (int table = 0; table < 3; table++)
        for (int op = 0; op < count[table]; op++) {
            bool found = false;
            for (const gc_case *c = tables[table]; c->build && !found; c++)
                found = (int)c->table == table && c->op == op;
            if (!found) fail_msg("%s has no case", op_text(table, op));
        }
}

static void test_case(void **state) {
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) checks[i](*state);
}

int main(void) {
    static struct CMUnitTest tests[256];
    static char name[256][64];
    size_t n = 0;
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_every_op_has_a_case);
    for (int table = 0; table < 4; table++)
        for (const gc_case *c = tables[table]; c->build; c++, n++) {
            snprintf(name[n], sizeof name[n], "%s%s%s", op_text(c->table, c->op),
                     c->name ? ": " : "", c->name ? c->name : "");
            tests[n] = (struct CMUnitTest){name[n], test_case, NULL, NULL, (void *)c};
        }
    return _cmocka_run_group_tests("gradcheck", tests, n, NULL, NULL);
}
