// The processes of a training run, called ranks: one, or those that mpirun started, on one machine
// or on several.
//
// From sum to any, every call is made by all ranks, in the same order, from the thread that joined;
// where there is one rank it returns at once. When a rank is lost, MPI ends the others. A build
// without MPI has one rank.
#ifndef AK_LEARN_RANKS_H
#define AK_LEARN_RANKS_H

#include <stdbool.h>
#include <stddef.h>

// First, in a process that mpirun started; elsewhere it does nothing. False: a build without MPI
// was started by mpirun, as one of several.
bool ak_ranks_join(void);

// Last. Waits for the other ranks; a status other than 0 ends them.
void ak_ranks_leave(int status);

int ak_rank(void);  // 0 ..., this process's number
int ak_ranks(void); // how many there are

// Adds up in place. All ranks get the same bits, added in the order of ranks.
void ak_ranks_sum(float *x, size_t n);
void ak_ranks_sum_doubles(double *x, size_t n);

// Everyone's bytes, (ranks, bytes); with one rank `all` stays as it is.
void ak_ranks_gather(void *all, const void *own, size_t bytes);

// Rank 0's bytes to all.
void ak_ranks_share(void *at, size_t bytes);

// Whether any rank says so.
bool ak_ranks_any(bool mine);

#endif
