// What the handlers of jobs, training runs and promotions have in common. Each answers and finishes
// the request, but for ak_job_key_read.
#ifndef AK_SERVER_JOBS_API_H
#define AK_SERVER_JOBS_API_H

#include "server/jobs.h"
#include "server/request.h"

// The request's Idempotency-Key, with the sum of its path and body. Borrows from the request.
ak_status ak_job_key_read(ak_job_key *key, bool *given, ak_request *r, ak_error *err);

void ak_job_accepted(ak_request *r, const char *folder, json_t *job); // 202; takes the job
void ak_jobs_answer_list(ak_request *r, const ak_job_kind *kind);     // NULL: all kinds
void ak_jobs_answer_one(ak_request *r, const ak_job_kind *kind, bool report);
void ak_jobs_answer_cancel(ak_request *r, const ak_job_kind *kind);

#endif
