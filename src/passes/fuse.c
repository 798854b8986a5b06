/* Which nodes share a cluster.
 *
 * 1. Merge: from the last node back, a value joins the clusters of its readers, as long
 * as the graph of steps keeps having no circle. Going backwards, what is needed late (the
 *    factors of a derivative) joins its late readers and is not stored since the forward
 *    pass.
 * 2. Repeat: a value that is cheap to make again out of what is in memory anyway is made
 *    by each reader, if then nobody needs it in memory.
 * 3. Chain: nodes that one kernel computes together become a step (chain.c). */
#include "passes/cluster.h"
#include "passes/rewrite.h"
#include <string.h>

/* Values made more than this many nodes apart count as far from each other in time. */
enum { FAR = 64 };

typedef struct fuser {
    lm_node *const *nodes;
    int n_nodes;
    int *first_user;   /* by id, into users; one more at the end */
    lm_node **users;   /* readers of each node, ids ascending */
    bool *is_root;     /* by id */
    int *home;         /* by id: its cluster, -1: not a member of any */
    int *reads;        /* by id: how many steps and roots want it in memory (phase 2) */
    uint32_t *visited; /* by id: number of the search */
    uint32_t search;
    lm_node **stack;
    lm_cluster *clusters; /* n_members 0: merged into another */
    int n_clusters;
    int n_fused;     /* clusters before the first chain */
    lm_arena *arena; /* of members; scratch */
} fuser;

static int64_t bytes_of(const lm_node *node) {
    return lm_shape_count(node->shape) * (int64_t)lm_dtype_size(node->dtype);
}

static int n_users(const fuser *f, const lm_node *node) {
    return f->first_user[node->id + 1] - f->first_user[node->id];
}

static lm_node *const *users_of(const fuser *f, const lm_node *node) {
    return f->users + f->first_user[node->id];
}

/* ---- set up ------------------------------------------------------------------ */

static lm_status fuser_init(fuser *f, lm_graph *graph) {
    size_t n = (size_t)lm_graph_size(graph) + 2, edges = 0;
    for (int i = 0; i < f->n_nodes; i++) edges += (size_t)f->nodes[i]->n_src;
    f->first_user = lm_arena_alloc(f->arena, n * sizeof *f->first_user);
    f->users = lm_arena_alloc(f->arena, (edges + 1) * sizeof *f->users);
    f->is_root = lm_arena_alloc(f->arena, n * sizeof *f->is_root);
    f->home = lm_arena_alloc(f->arena, n * sizeof *f->home);
    f->reads = lm_arena_alloc(f->arena, n * sizeof *f->reads);
    f->visited = lm_arena_alloc(f->arena, n * sizeof *f->visited);
    f->stack = lm_arena_alloc(f->arena, n * sizeof *f->stack);
    f->clusters = lm_arena_alloc(f->arena, n * sizeof *f->clusters);
    if (!f->first_user || !f->users || !f->is_root || !f->home || !f->reads ||
        !f->visited || !f->stack || !f->clusters)
        return LM_NOMEM;

    for (int i = 0; i < f->n_nodes; i++)
        for (int s = 0; s < f->nodes[i]->n_src; s++)
            f->first_user[f->nodes[i]->src[s]->id + 1]++;
    for (size_t v = 1; v < n; v++) f->first_user[v] += f->first_user[v - 1];
    int *fill = f->reads; /* lent: how many users of each are listed so far */
    for (int i = 0; i < f->n_nodes; i++)
        for (int s = 0; s < f->nodes[i]->n_src; s++) {
            uint32_t src = f->nodes[i]->src[s]->id;
            f->users[f->first_user[src] + fill[src]++] = f->nodes[i];
        }
    memset(f->reads, 0, n * sizeof *f->reads);

    int count;
    const lm_named_node *roots = lm_graph_roots(graph, &count);
    for (int r = 0; r < count; r++) f->is_root[roots[r].node->id] = true;
    return LM_OK;
}

/* A cluster for each node that may be a member; the odd one that cannot be described
 * stays a step of its own. */
static lm_status start_clusters(fuser *f) {
    for (int i = 0; i < f->n_nodes; i++) f->home[f->nodes[i]->id] = -1;
    for (int i = 0; i < f->n_nodes; i++) {
        if (!lm_may_be_member(f->nodes[i])) continue;
        lm_cluster *cluster = &f->clusters[f->n_clusters];
        cluster->members =
            lm_arena_copy(f->arena, &f->nodes[i], sizeof *cluster->members);
        if (!cluster->members) return LM_NOMEM;
        cluster->n_members = 1;
        if (lm_cluster_describe(cluster)) f->home[f->nodes[i]->id] = f->n_clusters++;
    }
    return LM_OK;
}

/* ---- circles ----------------------------------------------------------------- */

typedef struct search {
    fuser *f;
    const lm_cluster *target;
    int depth;
    bool found;
} search;

static void push(search *s, lm_node *node) {
    if (lm_cluster_has(s->target, node)) s->found = true;
    if (s->f->visited[node->id] == s->f->search) return;
    s->f->visited[node->id] = s->f->search;
    s->f->stack[s->depth++] = node;
}

/* Steps outside that read a member, straight or as a view. Reshapes between two members
 * are inside. */
static void push_outside(search *s, const lm_node *node) {
    lm_node *const *users = users_of(s->f, node);
    for (int u = 0; u < n_users(s->f, node); u++) {
        if (lm_cluster_has(s->target, users[u])) continue;
        if (users[u]->kind == LM_KIND_RESHAPE)
            push_outside(s, users[u]);
        else
            push(s, users[u]);
    }
}

static void push_users(search *s, const lm_node *node) {
    lm_node *const *users = users_of(s->f, node);
    for (int u = 0; u < n_users(s->f, node); u++) push(s, users[u]);
}

/* Whether a way leads from the would-be cluster through other steps back into it. A
 * cluster on the way is entered at one member and left at any. */
static bool closes_circle(fuser *f, const lm_cluster *merged) {
    search s = {.f = f, .target = merged};
    f->search++;
    for (int m = 0; m < merged->n_members; m++) push_outside(&s, merged->members[m]);
    while (s.depth > 0 && !s.found) {
        const lm_node *node = f->stack[--s.depth];
        int home = f->home[node->id];
        if (home < 0) {
            push_users(&s, node);
            continue;
        }
        const lm_cluster *cluster = &f->clusters[home];
        for (int m = 0; m < cluster->n_members; m++) {
            if (f->home[cluster->members[m]->id] != home) continue; /* repeated here */
            f->visited[cluster->members[m]->id] = f->search;
            push_users(&s, cluster->members[m]);
        }
    }
    return s.found;
}

/* ---- merging ----------------------------------------------------------------- */

/* Something outside of the cluster reads the node, or a reshape of it. */
static bool wanted_outside(const fuser *f, const lm_cluster *cluster,
                           const lm_node *node) {
    if (f->is_root[node->id]) return true;
    lm_node *const *users = users_of(f, node);
    for (int u = 0; u < n_users(f, node); u++) {
        if (lm_cluster_has(cluster, users[u])) continue;
        if (users[u]->kind != LM_KIND_RESHAPE || wanted_outside(f, cluster, users[u]))
            return true;
    }
    return false;
}

static int count_outputs(const fuser *f, const lm_cluster *cluster) {
    int count = 0;
    for (int m = 0; m < cluster->n_members; m++)
        count += wanted_outside(f, cluster, cluster->members[m]);
    return count;
}

static bool has_input(const lm_cluster *cluster, const lm_node *node) {
    for (int i = 0; i < cluster->n_in; i++)
        if (cluster->in[i] == node) return true;
    return false;
}

/* When a cluster can run at the earliest, on the clock of node ids. */
static int64_t ready_at(const lm_cluster *cluster, const lm_cluster *besides) {
    int64_t ready = 0;
    for (int i = 0; i < cluster->n_in; i++)
        if (!lm_cluster_has(besides, lm_view_root(cluster->in[i], NULL)) &&
            cluster->in[i]->id > ready)
            ready = cluster->in[i]->id;
    return ready;
}

/* Bytes that must be kept until `ready` for this cluster alone to read them. */
static int64_t bytes_kept(const fuser *f, const lm_cluster *cluster,
                          const lm_cluster *reader, int64_t ready) {
    int64_t bytes = 0;
    for (int i = 0; i < cluster->n_in; i++) {
        const lm_node *in = cluster->in[i];
        if (has_input(reader, in) || !lm_makes_step(lm_view_root(in, NULL))) continue;
        lm_node *const *users = users_of(f, in);
        bool kept_anyway = false;
        for (int u = 0; u < n_users(f, in); u++)
            kept_anyway |= users[u]->id >= ready && !lm_cluster_has(cluster, users[u]);
        if (!kept_anyway) bytes += bytes_of(in);
    }
    return bytes;
}

/* A producer that could run long before its reader would have to wait for it, with its
 * inputs kept meanwhile in place of its result. */
static bool waits_too_long(const fuser *f, const lm_cluster *producer,
                           const lm_cluster *reader, const lm_cluster *merged) {
    int64_t early = ready_at(producer, reader), late = ready_at(reader, producer);
    if (late - early <= FAR) return false;
    int64_t saved = 0;
    for (int m = 0; m < producer->n_members; m++) {
        if (wanted_outside(f, merged, producer->members[m])) return true;
        if (wanted_outside(f, producer, producer->members[m]))
            saved += bytes_of(producer->members[m]);
    }
    return bytes_kept(f, producer, reader, late) > saved;
}

static int merge_members(const lm_cluster *a, const lm_cluster *b, lm_node **members) {
    int i = 0, j = 0, n = 0;
    while (i < a->n_members || j < b->n_members) {
        bool left = j == b->n_members ||
                    (i < a->n_members && a->members[i]->id < b->members[j]->id);
        members[n++] = left ? a->members[i++] : b->members[j++];
    }
    return n;
}

static lm_status try_merge(fuser *f, int producer, int reader) {
    lm_cluster *a = &f->clusters[producer], *b = &f->clusters[reader];
    lm_node *members[2 * LM_CLUSTER_MEMBERS];
    lm_cluster merged = {.members = members};
    if (a->n_members + b->n_members > LM_CLUSTER_MEMBERS) return LM_OK;
    merged.n_members = merge_members(a, b, members);
    if (!lm_cluster_describe(&merged) || count_outputs(f, &merged) > LM_CLUSTER_OUT ||
        waits_too_long(f, a, b, &merged) || closes_circle(f, &merged))
        return LM_OK;
    merged.members =
        lm_arena_copy(f->arena, members, (size_t)merged.n_members * sizeof *members);
    if (!merged.members) return LM_NOMEM;
    for (int m = 0; m < a->n_members; m++) f->home[a->members[m]->id] = reader;
    a->n_members = 0;
    *b = merged;
    return LM_OK;
}

/* Tries the clusters of all readers, the first in the graph first. */
static lm_status merge_with_users(fuser *f, const lm_node *value, const lm_node *name) {
    lm_node *const *users = users_of(f, name);
    for (int u = 0; u < n_users(f, name); u++) {
        if (users[u]->kind == LM_KIND_RESHAPE) {
            LM_TRY(merge_with_users(f, value, users[u]));
            continue;
        }
        int home = f->home[value->id], reader = f->home[users[u]->id];
        if (reader >= 0 && reader != home) LM_TRY(try_merge(f, home, reader));
    }
    return LM_OK;
}

static lm_status merge_clusters(fuser *f) {
    for (int i = f->n_nodes - 1; i >= 0; i--) {
        const lm_node *node = f->nodes[i];
        if (f->home[node->id] >= 0 && node->kind != LM_KIND_REDUCE_SUM)
            LM_TRY(merge_with_users(f, node, node));
    }
    return LM_OK;
}

/* ---- repeating --------------------------------------------------------------- */

/* A single REDUCE_SUM of something in memory is no cluster. */
static bool is_single(const lm_cluster *cluster) {
    const lm_node *node = cluster->members[0];
    return cluster->n_members == 1 && node->kind == LM_KIND_REDUCE_SUM &&
           !lm_takes_along(node, 0);
}

static void count_cluster_reads(fuser *f, const lm_cluster *cluster, int by) {
    for (int i = 0; i < cluster->n_in; i++)
        f->reads[lm_view_root(cluster->in[i], NULL)->id] += by;
}

static void count_reads(fuser *f) {
    for (int c = 0; c < f->n_clusters; c++)
        if (f->clusters[c].n_members) count_cluster_reads(f, &f->clusters[c], 1);
    for (int i = 0; i < f->n_nodes; i++) {
        const lm_node *node = f->nodes[i];
        if (f->is_root[node->id]) f->reads[lm_view_root(node, NULL)->id]++;
        if (f->home[node->id] >= 0 || lm_is_view(node)) continue;
        /* A BROADCAST taken along is read for by its cluster; one more does no harm. */
        for (int s = 0; s < node->n_src; s++)
            f->reads[lm_view_root(node->src[s], NULL)->id]++;
    }
}

static bool is_cheap(const lm_node *node) {
    static const bool costly[LM_EW_COUNT] = {
        [LM_EW_DIV] = true,     [LM_EW_EXP] = true,      [LM_EW_EXPM1] = true,
        [LM_EW_LOG] = true,     [LM_EW_LOG1P] = true,    [LM_EW_SQRT] = true,
        [LM_EW_RSQRT] = true,   [LM_EW_POWC] = true,     [LM_EW_SIN] = true,
        [LM_EW_COS] = true,     [LM_EW_ATAN] = true,     [LM_EW_TANH] = true,
        [LM_EW_SIGMOID] = true, [LM_EW_SOFTPLUS] = true, [LM_EW_ERF] = true,
        [LM_EW_ERFINV] = true,
    };
    return node->kind == LM_KIND_PHILOX ||
           (node->kind == LM_KIND_EW && !costly[node->attr.ew.code]);
}

enum { MAX_REPEATED = 4 };

/* The nodes that make `node` from what is in memory; false: too many or too dear. */
static bool list_repeated(const fuser *f, lm_node *node, lm_node **list, int *count) {
    for (int i = 0; i < *count; i++)
        if (list[i] == node) return true;
    if (!is_cheap(node) || *count == MAX_REPEATED) return false;
    list[(*count)++] = node;
    if (node->kind == LM_KIND_PHILOX) return true;
    for (int s = 0; s < node->n_src; s++) {
        lm_node *src = node->src[s];
        if (lm_takes_along(node, s)) continue;
        const lm_node *root = lm_view_root(src, NULL);
        if (f->home[root->id] < 0 || f->reads[root->id] > 0) continue;
        if (root != src || !list_repeated(f, src, list, count)) return false;
    }
    return true;
}

/* Only members of clusters read it, and those as it is. */
static bool only_members_read(const fuser *f, const lm_node *node) {
    lm_node *const *users = users_of(f, node);
    bool all = !f->is_root[node->id];
    for (int u = 0; u < n_users(f, node) && all; u++)
        all = f->home[users[u]->id] >= 0 && users[u]->kind != LM_KIND_PHILOX &&
              !is_single(&f->clusters[f->home[users[u]->id]]);
    return all;
}

/* The cluster with more members; false if it is none, or would read more new bytes than
 * the value has that it no longer reads. */
static bool with_repeated(const lm_cluster *cluster, lm_node **list, int count,
                          lm_node **members, lm_cluster *grown) {
    lm_node *sorted[MAX_REPEATED];
    int n = 0;
    for (int i = 0; i < count; i++) {
        if (lm_cluster_has(cluster, list[i])) continue;
        int at = n++;
        for (; at > 0 && sorted[at - 1]->id > list[i]->id; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = list[i];
    }
    if (cluster->n_members + n > LM_CLUSTER_MEMBERS) return false;
    lm_cluster added = {.members = sorted, .n_members = n};
    *grown = (lm_cluster){.members = members};
    grown->n_members = merge_members(cluster, &added, members);
    if (!lm_cluster_describe(grown)) return false;
    int64_t bytes = 0;
    for (int i = 0; i < grown->n_in; i++)
        if (!has_input(cluster, grown->in[i])) bytes += bytes_of(grown->in[i]);
    return bytes <= bytes_of(list[0]);
}

/* Makes `node` again in every cluster that reads it, or in none. */
static lm_status repeat(fuser *f, lm_node *node) {
    lm_node *list[MAX_REPEATED], *members[2 * LM_CLUSTER_MEMBERS];
    int count = 0, home = f->home[node->id];
    if (f->reads[node->id] == 0 || !only_members_read(f, node) ||
        !list_repeated(f, node, list, &count))
        return LM_OK;
    lm_cluster grown;
    for (int c = 0; c < f->n_clusters; c++)
        if (c != home && f->clusters[c].n_members && has_input(&f->clusters[c], node) &&
            !with_repeated(&f->clusters[c], list, count, members, &grown))
            return LM_OK;
    for (int c = 0; c < f->n_clusters; c++) {
        lm_cluster *cluster = &f->clusters[c];
        if (c == home || !cluster->n_members || !has_input(cluster, node)) continue;
        with_repeated(cluster, list, count, members, &grown);
        grown.members =
            lm_arena_copy(f->arena, members, (size_t)grown.n_members * sizeof *members);
        if (!grown.members) return LM_NOMEM;
        count_cluster_reads(f, cluster, -1);
        *cluster = grown;
        count_cluster_reads(f, cluster, 1);
    }
    return LM_OK;
}

static bool read_inside(const lm_cluster *cluster, const lm_node *node) {
    for (int m = 0; m < cluster->n_members; m++)
        for (int s = 0; s < cluster->members[m]->n_src; s++)
            if (lm_skip_reshapes(cluster->members[m]->src[s]) == node) return true;
    return false;
}

/* Takes a member that nobody reads any more out of a cluster. */
static void drop_unread(fuser *f, lm_cluster *cluster, const lm_node *node) {
    if (f->reads[node->id] > 0 || read_inside(cluster, node)) return;
    count_cluster_reads(f, cluster, -1);
    int kept = 0;
    for (int m = 0; m < cluster->n_members; m++)
        if (cluster->members[m] != node) cluster->members[kept++] = cluster->members[m];
    cluster->n_members = kept;
    if (kept == 0) return;
    lm_cluster_describe(cluster);
    count_cluster_reads(f, cluster, 1);
}

/* Readers have higher ids, so they are settled before what they read. */
static lm_status repeat_cheap(fuser *f) {
    count_reads(f);
    for (int i = f->n_nodes - 1; i >= 0; i--) {
        lm_node *node = f->nodes[i];
        if (f->home[node->id] < 0) continue;
        LM_TRY(repeat(f, node));
        drop_unread(f, &f->clusters[f->home[node->id]], node);
    }
    return LM_OK;
}

/* ---- chains ------------------------------------------------------------------ */

static lm_readers readers_of(const fuser *f) {
    return (lm_readers){f->first_user, f->users, f->is_root};
}

static bool is_chained(const fuser *f, const lm_node *node) {
    return f->home[node->id] >= f->n_fused;
}

/* After everything else, as nothing merges with a chain. */
static lm_status join_chains(fuser *f) {
    lm_readers readers = readers_of(f);
    f->n_fused = f->n_clusters;
    for (int i = 0; i < f->n_nodes; i++) {
        lm_node *members[LM_CHAIN_MEMBERS];
        lm_cluster chain = {.members = members};
        bool taken = false;
        chain.n_members = lm_chain_list(&readers, f->nodes[i], members);
        for (int m = 0; m < chain.n_members; m++) taken |= is_chained(f, members[m]);
        if (chain.n_members == 0 || taken || closes_circle(f, &chain)) continue;
        chain.members =
            lm_arena_copy(f->arena, members, (size_t)chain.n_members * sizeof *members);
        if (!chain.members) return LM_NOMEM;
        for (int m = 0; m < chain.n_members; m++) f->home[members[m]->id] = f->n_clusters;
        f->clusters[f->n_clusters++] = chain;
    }
    return LM_OK;
}

/* ---- steps ------------------------------------------------------------------- */

typedef struct wanted_in {
    const fuser *f;
    int cluster;
} wanted_in;

static bool is_wanted(void *user, const lm_node *member) {
    const wanted_in *in = user;
    return in->f->home[member->id] == in->cluster && in->f->reads[member->id] > 0;
}

/* A BROADCAST or IOTA, or its reshape, is wanted in memory by whatever does not take it
 * along. */
static bool inline_is_wanted(const fuser *f, const lm_node *node) {
    bool wanted = f->is_root[node->id];
    lm_node *const *users = users_of(f, node);
    for (int u = 0; u < n_users(f, node) && !wanted; u++) {
        if (users[u]->kind == LM_KIND_RESHAPE) {
            wanted = inline_is_wanted(f, users[u]);
            continue;
        }
        wanted = f->home[users[u]->id] < 0 || is_chained(f, users[u]);
        for (int s = 0; s < users[u]->n_src && !wanted; s++)
            wanted = users[u]->src[s] == node && !lm_takes_along(users[u], s);
    }
    return wanted;
}

/* The whole chain, at its last node. */
static lm_status chain_step(fuser *f, const lm_node *node, lm_arena *arena,
                            lm_step *steps, int *n_steps) {
    const lm_cluster *chain = &f->clusters[f->home[node->id]];
    lm_readers readers = readers_of(f);
    if (node != chain->members[chain->n_members - 1]) return LM_OK;
    return lm_chain_step(&readers, chain->members, chain->n_members, arena,
                         &steps[(*n_steps)++]);
}

static lm_status node_step(fuser *f, lm_node *node, lm_arena *arena, lm_step *steps,
                           int *n_steps) {
    lm_step *step = &steps[*n_steps];
    if (lm_is_inline(node)) {
        if (lm_is_uniform(node) || !inline_is_wanted(f, node)) return LM_OK;
        ++*n_steps;
        return lm_inline_step(node, arena, step);
    }
    if (is_chained(f, node)) return chain_step(f, node, arena, steps, n_steps);
    int home = f->home[node->id];
    lm_cluster *cluster = home < 0 ? NULL : &f->clusters[home];
    if (cluster && cluster->n_members == 0) return LM_OK;
    if (cluster && !is_single(cluster)) {
        /* The whole cluster, at its last member of its own. */
        for (int m = cluster->n_members - 1; m >= 0; m--) {
            if (f->home[cluster->members[m]->id] != home) continue;
            if (cluster->members[m] != node) return LM_OK;
            break;
        }
        ++*n_steps;
        wanted_in in = {f, home};
        return lm_cluster_step(cluster, arena, is_wanted, &in, step);
    }
    lm_step *single;
    int count;
    LM_TRY(lm_group_single(&node, 1, arena, &single, &count));
    if (count) steps[(*n_steps)++] = *single;
    return LM_OK;
}

lm_status lm_group_clusters(lm_graph *graph, lm_node *const *nodes, int n_nodes,
                            lm_arena *arena, lm_step **steps, int *n_steps) {
    lm_arena scratch = LM_ARENA_INIT;
    fuser f = {.nodes = nodes, .n_nodes = n_nodes, .arena = &scratch};
    lm_status status;
    *n_steps = 0;
    *steps = lm_arena_alloc(arena, ((size_t)n_nodes + 1) * sizeof **steps);
    if (!*steps) return LM_NOMEM;
    LM_TRY_GOTO(done, fuser_init(&f, graph));
    LM_TRY_GOTO(done, start_clusters(&f));
    LM_TRY_GOTO(done, merge_clusters(&f));
    LM_TRY_GOTO(done, repeat_cheap(&f));
    LM_TRY_GOTO(done, join_chains(&f));
    for (int i = 0; i < n_nodes; i++)
        LM_TRY_GOTO(done, node_step(&f, nodes[i], arena, *steps, n_steps));
done:
    lm_arena_release(&scratch);
    return status;
}
