/* Clusters while they are made. Private to the room.
 *
 * Members are the nodes that a cluster computes on purpose: EW, PHILOX and closing
 * REDUCE_SUM. What costs nothing is taken along wherever it is read: uniform CONSTs,
 * IOTAs, BROADCASTs of something in memory, and RESHAPEs of these and of members. */
#ifndef LIMN_PASSES_CLUSTER_H
#define LIMN_PASSES_CLUSTER_H

#include "passes/group.h"

/* Inputs and outputs each want a register for their address or a staging tile; past some
 * sixty instructions, a longer program saves nothing more. */
enum { LM_CLUSTER_MEMBERS = 64, LM_CLUSTER_IN = 16, LM_CLUSTER_OUT = 8 };

typedef struct lm_cluster {
    lm_node **members; /* ids ascending */
    int n_members;
    lm_node *in[LM_CLUSTER_IN];
    int n_in;
    lm_shape space;
    int64_t form[3]; /* outer, reduced, inner of the closing sums; zeros: none */
} lm_cluster;

bool lm_may_be_member(const lm_node *node);
/* Uniform CONST, IOTA, BROADCAST. */
bool lm_is_inline(const lm_node *node);
/* Whether a member computes its source `s` along the way, without reading it from memory:
 * something inline, as it is or reshaped, as far as the shapes have a common space. */
bool lm_takes_along(const lm_node *member, int s);
const lm_node *lm_skip_reshapes(const lm_node *node);
bool lm_cluster_has(const lm_cluster *cluster, const lm_node *node);

/* Finds inputs, space and form of a set of members; false when no cluster can hold them:
 * too many inputs, no common space, unlike sums, or a member reads another's value in a
 * way that needs all of it. */
bool lm_cluster_describe(lm_cluster *cluster);

/* Makes the step. wanted(user, m): something outside reads member m. */
lm_status lm_cluster_step(const lm_cluster *cluster, lm_arena *arena,
                          bool (*wanted)(void *user, const lm_node *member), void *user,
                          lm_step *step);
/* Who reads what, by id: list[first[id]..first[id + 1]]. */
typedef struct lm_readers {
    const int *first;
    lm_node *const *list;
    const bool *is_root;
} lm_readers;

/* The chain (step.h) that ends in this norm_grad or group_stats: its members by id, or 0.
 * That no member is another chain's, and that the graph of steps keeps having no circle,
 * is the caller's to see. */
enum { LM_CHAIN_MEMBERS = 3 + 2 * LM_CHAIN_PARTS };
int lm_chain_list(const lm_readers *readers, lm_node *end, lm_node **members);
lm_status lm_chain_step(const lm_readers *readers, lm_node *const *members, int n_members,
                        lm_arena *arena, lm_step *step);

/* The step of a BROADCAST or IOTA that is wanted in memory. */
lm_status lm_inline_step(lm_node *node, lm_arena *arena, lm_step *step);

#endif
