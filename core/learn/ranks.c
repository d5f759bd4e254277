#include "core/learn/ranks.h"

#include <stdlib.h>
#include <string.h>

static int rank, ranks = 1;

int ak_rank(void)
{
    return rank;
}

int ak_ranks(void)
{
    return ranks;
}

bool ak_ranks_any(bool mine)
{
    double count = mine;
    ak_ranks_sum_doubles(&count, 1);
    return count > 0;
}

#ifdef AK_MPI
#include <mpi.h>

// Of one exchange, in bytes: MPI counts in int, and what is added up waits in `work`.
#define PIECE ((size_t)1 << 20)

static char *work; // (ranks, PIECE)

bool ak_ranks_join(void)
{
    int level;
    if (!getenv("OMPI_COMM_WORLD_SIZE")) // not by mpirun
        return true;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    work = malloc((size_t)ranks * PIECE);
    if (!work)
        MPI_Abort(MPI_COMM_WORLD, 1);
    return true;
}

void ak_ranks_leave(int status)
{
    int joined;
    MPI_Initialized(&joined);
    if (!joined)
        return;
    if (status != 0 && ranks > 1)
        MPI_Abort(MPI_COMM_WORLD, status);
    MPI_Finalize();
    free(work);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void add_floats(void *to, const void *from, size_t bytes)
{
    float *x = to;
    const float *y = from;
    for (size_t i = 0; i < bytes / sizeof *x; i++)
        x[i] += y[i];
}

static void add_doubles(void *to, const void *from, size_t bytes)
{
    double *x = to;
    const double *y = from;
    for (size_t i = 0; i < bytes / sizeof *x; i++)
        x[i] += y[i];
}

typedef void adder(void *to, const void *from, size_t bytes);

// Sums of what lies in work, (ranks, bytes), into `to`.
static void add_up(void *to, size_t bytes, adder *add)
{
    memcpy(to, work, bytes);
    for (size_t r = 1; r < (size_t)ranks; r++)
        add(to, work + r * bytes, bytes);
}

// By hand and not by MPI_Allreduce, whose order of adding is the library's choice. Each rank adds
// up a share of the numbers and gives the others its sums; what is too little to be shared out,
// everyone adds up.
static void sum(void *x, size_t bytes, size_t number, adder *add)
{
    char *at = x;
    const size_t small = 4096 * number;
    while (ranks > 1 && bytes > 0) {
        size_t share = least(bytes / number / (size_t)ranks * number, PIECE);
        size_t piece = bytes <= small ? bytes : share * (size_t)ranks;
        if (bytes <= small) {
            MPI_Allgather(at, (int)bytes, MPI_BYTE, work, (int)bytes, MPI_BYTE, MPI_COMM_WORLD);
            add_up(at, bytes, add);
        } else {
            MPI_Alltoall(at, (int)share, MPI_BYTE, work, (int)share, MPI_BYTE, MPI_COMM_WORLD);
            add_up(at + (size_t)rank * share, share, add);
            MPI_Allgather(MPI_IN_PLACE, 0, MPI_BYTE, at, (int)share, MPI_BYTE, MPI_COMM_WORLD);
        }
        at += piece;
        bytes -= piece;
    }
}

void ak_ranks_sum(float *x, size_t n)
{
    sum(x, n * sizeof *x, sizeof *x, add_floats);
}

void ak_ranks_sum_doubles(double *x, size_t n)
{
    sum(x, n * sizeof *x, sizeof *x, add_doubles);
}

void ak_ranks_gather(void *all, const void *own, size_t bytes)
{
    for (size_t from = 0, n; ranks > 1 && from < bytes; from += n) {
        n = least(bytes - from, PIECE);
        MPI_Allgather((const char *)own + from, (int)n, MPI_BYTE, work, (int)n, MPI_BYTE,
                      MPI_COMM_WORLD);
        for (size_t r = 0; r < (size_t)ranks; r++)
            memcpy((char *)all + r * bytes + from, work + r * n, n);
    }
}

void ak_ranks_share(void *at, size_t bytes)
{
    for (size_t from = 0, n; ranks > 1 && from < bytes; from += n) {
        n = least(bytes - from, PIECE);
        MPI_Bcast((char *)at + from, (int)n, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
}

#else

bool ak_ranks_join(void)
{
    const char *size = getenv("OMPI_COMM_WORLD_SIZE");
    return !size || atoi(size) < 2;
}

void ak_ranks_leave(int status)
{
    (void)status;
}

void ak_ranks_sum(float *x, size_t n)
{
    (void)x;
    (void)n;
}

void ak_ranks_sum_doubles(double *x, size_t n)
{
    (void)x;
    (void)n;
}

void ak_ranks_gather(void *all, const void *own, size_t bytes)
{
    (void)all;
    (void)own;
    (void)bytes;
}

void ak_ranks_share(void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}

#endif
